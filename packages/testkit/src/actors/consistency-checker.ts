/** The consistency checker: actors in one room, and the check that all saw the same log. */
import type { ClientOptions } from '@engawa/client';
import type { Store } from '@engawa/server';
import { expect } from 'vitest';
import { findFaults, type RoomHistory } from '../checkers/history.ts';
import { readRoom } from '../checkers/recording.ts';
import { type ClientRequestLog, RequestLog } from '../checkers/request-log.ts';
import { findTimelineFaults } from '../checkers/timeline-check.ts';
import { until, withTimeout } from '../processes/server.ts';
import { type ChatActor, ROOM, SdkActor, SocketIoActor } from './chat-actors.ts';

const SETTLE_TIMEOUT_MS = 20_000;

/** All actors of a room, with their requests, answers and received entries. In the end all of it has to agree with one log. */
export class ConsistencyChecker {
  readonly #requestLog = new RequestLog([ROOM]);
  readonly history = this.#requestLog.rooms.get(ROOM) as RoomHistory;
  readonly #sdk: SdkActor[] = [];
  readonly #socketIo: SocketIoActor[] = [];
  readonly #clientLogs = new Map<string, ClientRequestLog>();

  /** Adds an actor; with a name that is already here, it is the same user with another page. */
  async addSdkActor(name: string, url: string, options: ClientOptions = {}): Promise<SdkActor> {
    const actor = new SdkActor(name, url, { requestLog: this.clientLogOf(name), ...options });
    await this.#join(actor);
    this.#sdk.push(actor);
    return actor;
  }

  async addSocketIoActor(name: string, url: string): Promise<SocketIoActor> {
    const actor = new SocketIoActor(name, url, this.clientLogOf(name));
    await this.#join(actor);
    this.#socketIo.push(actor);
    return actor;
  }

  /** Adds one actor with the SDK and one without it on each of two servers. */
  async addActorsOnBoth([first, second]: [{ url: string }, { url: string }]): Promise<ChatActor[]> {
    return [
      await this.addSdkActor('aya', first.url),
      await this.addSdkActor('ben', second.url),
      await this.addSocketIoActor('chiyo', first.url),
      await this.addSocketIoActor('dan', second.url),
    ];
  }

  /** The request log of a name. */
  clientLogOf(name: string): ClientRequestLog {
    const log = this.#clientLogs.get(name) ?? this.#requestLog.forClient(name);
    this.#clientLogs.set(name, log);
    return log;
  }

  get acknowledgedCount(): number {
    return this.history.sent.filter(({ acks }) => acks.length > 0).length;
  }

  /** Chats that were sent and not answered yet. */
  get unansweredCount(): number {
    const chats = this.history.sent.filter(({ event }) => event === 'create:chat');
    return chats.filter(({ acks, refusal }) => acks.length === 0 && refusal === undefined).length;
  }

  async waitForAcknowledged(more: number): Promise<void> {
    const enough = this.acknowledgedCount + more;
    await until(() => this.acknowledgedCount >= enough, `${more} more are acknowledged`, SETTLE_TIMEOUT_MS);
  }

  /** Resolves when all chats are stored and every actor has received them; fails if an actor sees something else. */
  async waitUntilConsistent(): Promise<void> {
    const present = this.#sdk.filter(({ client, room }) => client.state !== 'closed' && room.state !== 'ended');
    const isSettled = ({ room }: SdkActor) => room.state === 'live' && room.timeline.chats.every(({ state }) => state !== 'sending');
    await until(() => present.every(isSettled), 'all are live and have sent all', SETTLE_TIMEOUT_MS);
    await until(() => this.#socketIo.every(({ unanswered }) => unanswered === 0), 'all plain clients were answered', SETTLE_TIMEOUT_MS);
    const head = await this.#head(present[0]);
    await until(() => present.every(({ room }) => room.position.seq >= head), `all are at ${head}`, SETTLE_TIMEOUT_MS);
    await until(
      () => this.#socketIo.every(({ seqs }) => (seqs.at(-1) ?? 0) >= head),
      `all plain clients are at ${head}`,
      SETTLE_TIMEOUT_MS,
    );
    // A forked log is detected a moment later.
    const findTimelineFaultsOfAll = async () => (await Promise.all(present.map(async ({ room }) => findTimelineFaults(room)))).flat();
    await until(async () => (await findTimelineFaultsOfAll()).length === 0, 'all see what is stored', SETTLE_TIMEOUT_MS).catch(
      () => undefined,
    );
    expect(await findTimelineFaultsOfAll()).toEqual([]);
    for (const actor of present) this.#recordAcknowledged(actor, actor.startSeq);
    for (const actor of this.#socketIo) this.#recordAcknowledged(actor, 0);
  }

  /** Every contradiction between what actors received, what was acknowledged, and the log. */
  async findFaults(store: Store): Promise<string[]> {
    return findFaults(this.history, await readRoom(store, ROOM, this.history.sent));
  }

  /** Waits until all is consistent, and expects no faults. */
  async expectConsistent(store: Store): Promise<void> {
    await this.waitUntilConsistent();
    expect(await this.findFaults(store)).toEqual([]);
  }

  async #join(actor: SdkActor | SocketIoActor): Promise<void> {
    await withTimeout(actor.join(), `${actor.name} in the room`);
    this.history.receivedLogs.push(actor.receivedLog);
  }

  async #head(actor: SdkActor | undefined): Promise<number> {
    const page = await actor?.room.history({ limit: 1 });
    return page?.ok ? page.seq : 0;
  }

  /** The newest acknowledged entry that the actor itself added while it received entries. */
  #recordAcknowledged({ name, receivedLog }: ChatActor, startSeq: number): void {
    const own = this.history.sent.filter(({ client }) => client === name);
    const seqs = own.flatMap(({ acks: [ack] }) => (ack?.id === undefined ? [] : [ack.seq]));
    receivedLog.lastAcknowledged = Math.max(0, ...seqs.filter((seq) => seq > startSeq));
  }
}
