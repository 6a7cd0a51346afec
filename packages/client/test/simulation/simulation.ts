import { isDeepStrictEqual } from 'node:util';
import { type Client, connect, type LinkFactory, type Room } from '@engawa/client';
import { type Faults, type Random, randomFrom, startTestServer, type TestServer } from '@engawa/client/testing';
import type { Store } from '@engawa/server';
import { faultsOf, faultsOfFork, type Heard, type Hearing, type RoomHistory, type RoomLog } from '../../../server/test/helpers/history.ts';
import { readRoom } from '../../../server/test/helpers/recording.ts';
import { Recorder } from '../helpers/recorder.ts';
import { faultsOfTimeline } from '../helpers/shown.ts';
import { virtualTime } from './virtual-time.ts';

const ROOMS = ['lobby', 'den::{*}'];
const NAMES = ['aya', 'Ben', 'chiyo', 'dan'];
const REACTIONS = ['👍', '/', '%'];
const STORM_MS = 20_000;
const ACTIONS = 160;
/** Long enough for every wait, every grace and every retry to end. */
const CALM_MS = 40_000;
const GRACE_MS = 3_000;
/** In every other run, so that most joins and leaves are quiet there. */
const LARGE_ROOM = 2;

export interface Outcome {
  seed: number;
  /** What is wrong; empty when all is well. */
  faults: string[];
  /** What happened, without what is random by name only: the same for the same seed. */
  trace: string;
  entries: number;
  /** How often things went wrong on purpose. */
  drops: number;
}

/** A mistake to be made on purpose: in the store that all share, or in what each client is told. */
export interface Plant {
  store?: (store: Store) => void;
  link?: (factory: LinkFactory) => LinkFactory;
}

/** One run: clients talk while everything fails; then it is calm, and everything must be right. */
export async function simulate(seed: number, plant: Plant = {}): Promise<Outcome> {
  const random = randomFrom(seed);
  const time = virtualTime(random);
  const faults = faultsFrom(random);
  const server = startTestServer({
    seed,
    nodes: 1 + Math.floor(random() * 3),
    faults,
    grace: GRACE_MS,
    ...(seed % 2 === 0 && { largeRoom: LARGE_ROOM }),
  });
  plant.store?.(server.store);
  const recorder = new Recorder(ROOMS);
  const link = plant.link?.(server.link) ?? server.link;
  const speakers = NAMES.map((name) => new Speaker(name, { link, recorder, random }));
  const failsOver = random() < 0.25;
  try {
    for (let action = 0; action < ACTIONS; action += 1) {
      speakers[Math.floor(random() * speakers.length)]?.act();
      if (failsOver) await failOverSometimes(server, random);
      await time.pass(random() * 2 * (STORM_MS / ACTIONS));
    }
    server.calm();
    await time.pass(CALM_MS);
    // What never arrived at the end is missed by nobody: whoever lost that learns of it when he asks, as after a sleep.
    if (faults.lose > 0) for (const { client } of speakers) client.sync();
    await time.pass(CALM_MS);
    const found = await verdict(speakers, { server, recorder, failsOver }, (promise) => finished(promise, time));
    return { seed, ...found, drops: speakers.reduce((sum, { drops }) => sum + drops, 0) };
  } finally {
    for (const { client } of speakers) void client.close();
    await finished(server.close(), time);
    time.end();
  }
}

/** A replica that lags behind becomes the primary. */
async function failOverSometimes(server: TestServer, random: Random): Promise<void> {
  if (random() < 0.2) server.replicate();
  if (random() < 0.02) await server.failOver();
}

function faultsFrom(random: Random): Faults {
  const sometimes = (most: number) => (random() < 0.5 ? 0 : random() * most);
  return {
    delayMs: [0, random() * 80],
    lose: sometimes(0.05),
    duplicate: sometimes(0.2),
    reorder: sometimes(0.2),
    dropsPerSecond: sometimes(0.8),
    killsPerSecond: sometimes(0.4),
  };
}

/** Lets time pass until it is done. */
async function finished<Result>(promise: Promise<Result>, time: { pass: (milliseconds: number) => Promise<void> }): Promise<Result> {
  const done = { yet: false };
  promise.then(
    () => (done.yet = true),
    () => (done.yet = true),
  );
  for (let waited = 0; !done.yet && waited < 1_000; waited += 1) await time.pass(100);
  return promise;
}

type Finish = <Result>(promise: Promise<Result>) => Promise<Result>;

async function verdict(
  speakers: Speaker[],
  { server, recorder, failsOver }: { server: TestServer; recorder: Recorder; failsOver: boolean },
  finish: Finish,
): Promise<Pick<Outcome, 'faults' | 'trace' | 'entries'>> {
  const faults: string[] = [];
  const trace: unknown[] = [];
  let entries = 0;
  for (const [roomId, seen] of recorder.rooms) {
    const log = await readRoom(server.store, roomId, seen.sent);
    if (log.epoch === null) continue;
    if (!failsOver) for (const speaker of speakers) speaker.note(roomId, log);
    const found = failsOver ? faultsOfFork(stayersOnly(seen, roomId, speakers), log) : faultsOf(seen, log);
    faults.push(...found.map((fault) => `${roomId}: ${fault}`));
    for (const speaker of speakers) faults.push(...(await speaker.faultsIn(roomId, log, finish)).map((fault) => `${roomId}: ${fault}`));
    entries += log.head;
    trace.push(log.entries.map(({ seq, by, kind, at }) => [seq, by, kind, at]));
    trace.push(seen.hearings.map(({ client, heard }) => [client, heard.map(({ seq }) => seq)]));
  }
  return { faults, entries, trace: JSON.stringify(trace) };
}

/** Who has left is not told that what he heard was withdrawn, and does not say again what was lost. */
function stayersOnly({ sent, hearings }: RoomHistory, roomId: string, speakers: Speaker[]): RoomHistory {
  const stayers = new Set(speakers.filter((speaker) => !speaker.hasLeft(roomId)).map(({ name }) => name));
  return {
    sent: sent.filter(({ client }) => stayers.has(client)),
    hearings: hearings.filter(({ client }) => stayers.has(client)),
  };
}

/** One person with one client, who does whatever comes to his mind. */
class Speaker {
  readonly client: Client;
  readonly name: string;
  readonly #random: Random;
  readonly #recorder: Recorder;
  readonly #rooms = new Map<string, Room>();
  readonly #joining = new Set<string>();
  readonly #hearings = new Map<Room, { hearing: Hearing; begin: number }>();
  drops = 0;
  #said = 0;

  constructor(name: string, { link, recorder, random }: { link: LinkFactory; recorder: Recorder; random: Random }) {
    this.name = name;
    this.#random = random;
    this.#recorder = recorder;
    this.client = connect('test:', { link: recorder.pen(name).link(link) });
    this.client.on('state', (state) => {
      if (state === 'reconnecting') this.drops += 1;
    });
  }

  act(): void {
    const roomId = this.#anyOf(ROOMS) as string;
    const room = this.#rooms.get(roomId);
    if (!room) this.#join(roomId);
    else this.#actIn(room);
  }

  hasLeft(roomId: string): boolean {
    return [...this.#hearings.keys()].some((room) => room.id === roomId && room.state === 'ended');
  }

  /** The newest entry that each hearing was acknowledged to have added, and that was told. */
  note(roomId: string, log: RoomLog): void {
    const { sent } = this.#recorder.rooms.get(roomId) as RoomHistory;
    for (const [room, { hearing, begin }] of this.#hearings) {
      if (room.id !== roomId || room.state !== 'live') continue;
      const own = sent.filter(({ client }) => client === this.name).flatMap(({ acks: [ack] }) => (ack?.id === undefined ? [] : [ack.seq]));
      hearing.acked = Math.max(0, ...own.filter((seq) => seq > begin && log.entries[seq - 1]?.quiet === false));
    }
  }

  /** What he sees is what is there, and as who opens the room anew would see it. */
  async faultsIn(roomId: string, log: RoomLog, finish: Finish): Promise<string[]> {
    const room = this.#rooms.get(roomId);
    if (!room) return this.#joining.has(roomId) ? [`${this.name} is still joining`] : [];
    if (room.state !== 'live') return [`${this.name} is not live but ${room.state}`];
    const { epoch, seq, id } = room.position;
    const newest = log.entries.findLast(({ quiet }) => !quiet);
    if (seq > log.head || seq < (newest?.seq ?? 0)) return [`${this.name} is at ${seq}, the head is ${log.head}`];
    if (room.members !== log.counts.get('member')) return [`${this.name} counts ${room.members} members`];
    if (epoch !== log.epoch || id !== newest?.id) return [`${this.name} is at ${seq} of another log`];
    return [...this.#faultsOfFacts(room, log), ...(await finish(faultsOfTimeline(room)))];
  }

  #faultsOfFacts({ topic, members, role }: Room, { keys, counts }: RoomLog): string[] {
    const settings = keys.get('settings')?.value as { owner: string; topic: string } | undefined;
    const member = keys.get(`member/${this.name.toLowerCase()}`)?.value as { author: string } | undefined;
    if (!member) return [`${this.name} is live, and no member`];
    const shown = { topic, members, role };
    const facts = { topic: settings?.topic, members: counts.get('member'), role: member.author === settings?.owner ? 'owner' : 'member' };
    return isDeepStrictEqual(shown, facts) ? [] : [`${this.name} is shown ${JSON.stringify(shown)} and not ${JSON.stringify(facts)}`];
  }

  #join(roomId: string): void {
    if (this.#joining.has(roomId)) return;
    this.#joining.add(roomId);
    this.client.join(roomId, { username: this.name, create: true }).then(
      (room) => {
        this.#joining.delete(roomId);
        this.#rooms.set(roomId, room);
        this.#listen(room);
      },
      () => this.#joining.delete(roomId),
    );
  }

  #listen(room: Room): void {
    const hearing: Hearing = { client: this.name, heard: [], acked: 0 };
    this.#hearings.set(room, { hearing, begin: room.position.seq });
    this.#recorder.rooms.get(room.id)?.hearings.push(hearing);
    room.on('entry', (entry) => hearing.heard.push(entry as unknown as Heard));
    room.on('ended', () => this.#rooms.delete(room.id));
    room.on('reset', () => hearing.heard.splice(0));
  }

  #actIn(room: Room): void {
    const dice = this.#random();
    const { chats } = room.timeline;
    const chat = this.#anyOf(chats.filter(({ state }) => state === undefined));
    const seq = chat?.seq;
    if (dice < 0.03) void room.leave();
    else if (dice < 0.06 && room.role === 'owner') void room.remove(this.#anyOf(NAMES) as string);
    else if (dice < 0.1 && room.role === 'owner') void room.setTopic(this.#words());
    else if (dice < 0.2 && seq !== undefined && chat?.username === this.name) void room.edit(seq, this.#words());
    else if (dice < 0.25 && seq !== undefined && chat?.username === this.name) void room.delete(seq);
    else if (dice < 0.35 && seq !== undefined) void room.react(seq, this.#anyOf(REACTIONS) as string);
    else if (dice < 0.4 && seq !== undefined) void room.unreact(seq, this.#anyOf(REACTIONS) as string);
    else if (dice < 0.45) this.#signal(room);
    else if (dice < 0.6 && seq !== undefined) room.send(this.#words(), { replyTo: seq });
    else room.send(this.#words());
  }

  #signal(room: Room): void {
    if (this.#random() < 0.5) room.typing();
    else room.markRead();
  }

  #words(): string {
    this.#said += 1;
    return `${this.name} ${this.#said}`;
  }

  #anyOf<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.#random() * items.length)];
  }
}
