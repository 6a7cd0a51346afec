import type { ClientOptions } from '@engawa/client';
import type { Store } from '@engawa/server';
import { expect } from 'vitest';
import { faultsOf, type RoomHistory } from '../../../server/test/helpers/history.ts';
import { readRoom } from '../../../server/test/helpers/recording.ts';
import { until, within } from '../../../server/test/helpers/server.ts';
import { type Person, ROOM, SdkPerson, StockPerson } from './people.ts';
import { type Pen, Recorder } from './recorder.ts';
import { faultsOfTimeline } from './shown.ts';

const CALM_MS = 20_000;

/** Everybody in a room, and all that they said, were answered and were told; in the end it must be one story. */
export class Scene {
  readonly #recorder = new Recorder([ROOM]);
  readonly history = this.#recorder.rooms.get(ROOM) as RoomHistory;
  readonly #sdk: SdkPerson[] = [];
  readonly #stock: StockPerson[] = [];
  readonly #pens = new Map<string, Pen>();

  /** Somebody comes in; under a name that was here before, it is the same person with another page. */
  async enter(name: string, url: string, options: ClientOptions = {}): Promise<SdkPerson> {
    const person = new SdkPerson(name, url, { pen: this.pen(name), ...options });
    await this.#arrive(person);
    this.#sdk.push(person);
    return person;
  }

  async enterStock(name: string, url: string): Promise<StockPerson> {
    const person = new StockPerson(name, url, this.pen(name));
    await this.#arrive(person);
    this.#stock.push(person);
    return person;
  }

  /** On each of two servers one with the SDK, and one without. */
  async enterBoth([first, second]: [{ url: string }, { url: string }]): Promise<Person[]> {
    return [
      await this.enter('aya', first.url),
      await this.enter('ben', second.url),
      await this.enterStock('chiyo', first.url),
      await this.enterStock('dan', second.url),
    ];
  }

  /** What writes down what is asked under a name. */
  pen(name: string): Pen {
    const pen = this.#pens.get(name) ?? this.#recorder.pen(name);
    this.#pens.set(name, pen);
    return pen;
  }

  get acknowledged(): number {
    return this.history.sent.filter(({ acks }) => acks.length > 0).length;
  }

  /** Chats that were sent and not yet answered. */
  get open(): number {
    const chats = this.history.sent.filter(({ event }) => event === 'create:chat');
    return chats.filter(({ acks, refusal }) => acks.length === 0 && refusal === undefined).length;
  }

  async untilAcknowledged(more: number): Promise<void> {
    const enough = this.acknowledged + more;
    await until(() => this.acknowledged >= enough, `${more} more are acknowledged`, CALM_MS);
  }

  /** Resolves when all that was said is kept, and everybody has heard it; fails where somebody sees something else. */
  async calm(): Promise<void> {
    const present = this.#sdk.filter(({ client, room }) => client.state !== 'closed' && room.state !== 'ended');
    const isCalm = ({ room }: SdkPerson) => room.state === 'live' && room.timeline.chats.every(({ state }) => state !== 'sending');
    await until(() => present.every(isCalm), 'all are live and have sent all', CALM_MS);
    await until(() => this.#stock.every(({ waiting }) => waiting === 0), 'all stock clients were answered', CALM_MS);
    const head = await this.#head(present[0]);
    await until(() => present.every(({ room }) => room.position.seq >= head), `all are at ${head}`, CALM_MS);
    await until(() => this.#stock.every(({ seqs }) => (seqs.at(-1) ?? 0) >= head), `all stock clients are at ${head}`, CALM_MS);
    // A log that was forked is found out a moment later.
    const faults = async () => (await Promise.all(present.map(async ({ room }) => faultsOfTimeline(room)))).flat();
    await until(async () => (await faults()).length === 0, 'all see what is kept', CALM_MS).catch(() => undefined);
    expect(await faults()).toEqual([]);
    for (const person of present) this.#note(person, person.begin);
    for (const person of this.#stock) this.#note(person, 0);
  }

  /** Everything in which what people saw, what they were promised and what is kept disagree. */
  async faults(store: Store): Promise<string[]> {
    return faultsOf(this.history, await readRoom(store, ROOM, this.history.sent));
  }

  /** All is calm, and all is well. */
  async endsWell(store: Store): Promise<void> {
    await this.calm();
    expect(await this.faults(store)).toEqual([]);
  }

  async #arrive(person: SdkPerson | StockPerson): Promise<void> {
    await within(person.join(), `${person.name} in the room`);
    this.history.hearings.push(person.hearing);
  }

  async #head(person: SdkPerson | undefined): Promise<number> {
    const page = await person?.room.history({ limit: 1 });
    return page?.ok ? page.seq : 0;
  }

  /** The newest entry that he was acknowledged to have added while he listened. */
  #note({ name, hearing }: Person, begin: number): void {
    const own = this.history.sent.filter(({ client }) => client === name);
    const seqs = own.flatMap(({ acks: [ack] }) => (ack?.id === undefined ? [] : [ack.seq]));
    hearing.acked = Math.max(0, ...seqs.filter((seq) => seq > begin));
  }
}
