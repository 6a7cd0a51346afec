import { isDeepStrictEqual } from 'node:util';
import { type Client, connect, type LinkFactory, type OutgoingChat, type Room, type SendOptions } from '@engawa/client';
import { type Faults, type Random, randomFrom, startTestServer, type TestServer } from '@engawa/client/testing';
import type { Store } from '@engawa/server';
import { faultsOf, faultsOfFork, type Heard, type Hearing, type RoomHistory, type RoomLog } from '../../../server/test/helpers/history.ts';
import { readRoom } from '../../../server/test/helpers/recording.ts';
import { type Pen, Recorder } from '../helpers/recorder.ts';
import { faultsOfTimeline } from '../helpers/shown.ts';
import { Browser, install, type Page } from './browser.ts';
import { type VirtualTime, virtualTime } from './virtual-time.ts';

const ROOMS = ['lobby', 'den::{*}'];
const NAMES = ['aya', 'Ben', 'chiyo', 'dan'];
const REACTIONS = ['👍', '/', '%'];
const STORM_MS = 20_000;
const ACTIONS = 160;
/** Long enough for every wait, every grace and every retry to end. */
const CALM_MS = 40_000;
const GRACE_MS = 3_000;
/** How long the absent stay members, in one run after the other. */
const ABSENCES_MS = [0, 4_000, 24 * 3_600_000];
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

/** One run: people talk while everything fails; then it is calm, and everything must be right. */
export async function simulate(seed: number, plant: Plant = {}): Promise<Outcome> {
  const random = randomFrom(seed);
  const time = virtualTime(random);
  const uninstall = install();
  const nodes = 1 + Math.floor(random() * 3);
  const server = startTestServer({
    seed,
    nodes,
    faults: faultsFrom(random),
    grace: GRACE_MS,
    absence: ABSENCES_MS[seed % ABSENCES_MS.length] as number,
    ...(seed % 2 === 0 && { largeRoom: LARGE_ROOM }),
  });
  const { lose } = server.faults;
  plant.store?.(server.store);
  const recorder = new Recorder(ROOMS);
  const link = plant.link?.(server.link) ?? server.link;
  const people = NAMES.map((name) => new Person(name, { link, recorder, random }));
  const failsOver = random() < 0.25;
  const nightAt = random() < 0.3 ? Math.floor(random() * ACTIONS) : undefined;
  try {
    for (let action = 0; action < ACTIONS; action += 1) {
      people[Math.floor(random() * people.length)]?.act();
      if (failsOver) await failOverSometimes(server, random);
      if (action === nightAt) await haveNight(server, nodes, time);
      await time.pass(random() * 2 * (STORM_MS / ACTIONS));
    }
    server.calm();
    for (const person of people) person.calm();
    await time.pass(CALM_MS);
    // What never arrived at the end is missed by nobody: whoever lost that learns of it when he asks, as after a sleep.
    if (lose > 0) for (const { client } of speakersOf(people)) client.sync();
    await time.pass(CALM_MS);
    const found = await verdict(people, { server, recorder, failsOver }, (promise) => finished(promise, time));
    return { seed, ...found, drops: people.reduce((sum, { drops }) => sum + drops, 0) };
  } finally {
    for (const { client } of speakersOf(people)) void client.close();
    await finished(server.close(), time);
    uninstall();
    time.end();
  }
}

const speakersOf = (people: Person[]): Speaker[] => people.flatMap(({ speakers }) => speakers);

/** A replica that lags behind becomes the primary. */
async function failOverSometimes(server: TestServer, random: Random): Promise<void> {
  if (random() < 0.2) server.replicate();
  if (random() < 0.02) await server.failOver();
}

/** Nobody is connected until every lease has lapsed. */
async function haveNight(server: TestServer, nodes: number, time: VirtualTime): Promise<void> {
  for (let node = 0; node < nodes; node += 1) server.kill(node);
  await time.pass(2 * GRACE_MS);
  server.start();
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
    ...(random() < 0.3 && { bytesPerSecond: 4_000 + random() * 60_000 }),
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
  people: Person[],
  { server, recorder, failsOver }: { server: TestServer; recorder: Recorder; failsOver: boolean },
  finish: Finish,
): Promise<Pick<Outcome, 'faults' | 'trace' | 'entries'>> {
  const faults: string[] = [];
  const trace: unknown[] = [];
  let entries = 0;
  for (const [roomId, seen] of recorder.rooms) {
    const log = await readRoom(server.store, roomId, seen.sent);
    if (log.epoch === null) continue;
    const speakers = speakersOf(people);
    if (!failsOver) for (const speaker of speakers) speaker.note(roomId, log);
    const found = failsOver ? faultsOfFork(stayersOnly(seen, roomId, people), log) : faultsOf(seen, log);
    for (const speaker of speakers) found.push(...(await speaker.faultsIn(roomId, log, finish)));
    if (!failsOver) for (const person of people) found.push(...person.wordsLostIn(roomId, log));
    faults.push(...found.map((fault) => `${roomId}: ${fault}`));
    entries += log.head;
    trace.push(log.entries.map(({ seq, by, kind, at }) => [seq, by, kind, at]));
    trace.push(seen.hearings.map(({ client, heard }) => [client, heard.map(({ seq }) => seq)]));
  }
  return { faults, entries, trace: JSON.stringify(trace) };
}

/** Who has left is not told that what was heard was withdrawn, and does not say again what was lost; nor does a page that is gone. */
function stayersOnly({ sent, hearings }: RoomHistory, roomId: string, people: Person[]): RoomHistory {
  const stayers = new Set(people.filter((person) => person.hasStayed(roomId)).map(({ name }) => name));
  return {
    sent: sent.filter(({ client }) => stayers.has(client)),
    hearings: hearings.filter(({ client }) => stayers.has(client)),
  };
}

interface Surroundings {
  link: LinkFactory;
  recorder: Recorder;
  random: Random;
}

/** Something that somebody wrote, with the page where they did. */
interface Word {
  chat: OutgoingChat;
  speaker: Speaker;
}

/** Who is in up to two pages of a browser, which they open, close, and lose; or in one page for good that keeps nothing. */
class Person {
  readonly name: string;
  speakers: Speaker[] = [];
  drops = 0;
  /** Rooms to be in, and what was written there since it was joined. */
  readonly rooms = new Map<string, Word[]>();
  readonly #surroundings: Surroundings;
  readonly #pen: Pen;
  readonly #browser: Browser | undefined;
  /** Of rooms where a page was lost, or which somebody was no member of any more. */
  readonly #gone = new Set<string>();
  #pages = 0;
  #said = 0;

  constructor(name: string, surroundings: Surroundings) {
    const { recorder, random } = surroundings;
    this.name = name;
    this.#surroundings = surroundings;
    this.#pen = recorder.pen(name);
    const dice = random();
    if (dice > 0.3) this.#browser = new Browser(dice > 0.7 ? { read: 5, write: 50 } : undefined);
    this.#open();
  }

  act(): void {
    const { random } = this.#surroundings;
    const speaker = this.speakers[Math.floor(random() * this.speakers.length)];
    if (!speaker) this.#open();
    else if (this.#browser && random() < 0.05) this.#changePages(speaker);
    else if (this.#browser && random() < 0.02) speaker.nod();
    else speaker.act();
  }

  /**
   * No machine sleeps, and another page is opened: what a page wrote in the last moment before it was killed no other page has
   * heard of, but the next one finds it.
   */
  calm(): void {
    if (this.#browser) this.#open();
    for (const { page } of this.speakers) page?.wake();
  }

  nextWord(): number {
    this.#said += 1;
    return this.#said;
  }

  ended(roomId: string): void {
    this.rooms.delete(roomId);
    this.#gone.add(roomId);
  }

  hasStayed(roomId: string): boolean {
    return !this.#gone.has(roomId);
  }

  /** What was written and kept, or sent, and is neither in the room nor told as failed nor thrown away. */
  wordsLostIn(roomId: string, { recalled }: RoomLog): string[] {
    const rooms = this.speakers.flatMap((speaker) => speaker.roomOf(roomId) ?? []);
    if (rooms.length === 0) return [];
    const kept = new Set([...recalled].flatMap(([{ payload }, places]) => (places.length > 0 ? [payload.clientId] : [])));
    const shown = new Map(rooms.flatMap(({ timeline }) => timeline.chats.map((chat) => [chat.clientId, chat.state])));
    return (this.rooms.get(roomId) ?? []).flatMap(({ chat: { clientId, message, state }, speaker }) => {
      if (kept.has(clientId) || shown.get(clientId) === 'failed') return [];
      if (this.speakers.includes(speaker) && state === 'failed') return [];
      if (shown.get(clientId) === 'sending') return [`${this.name} keeps '${message}' unsent`];
      const isKept = [...(this.#browser?.written ?? [])].some((key) => key.endsWith(`:${clientId}`));
      return isKept ? [`${this.name} lost '${message}'`] : [];
    });
  }

  #changePages(speaker: Speaker): void {
    const { random } = this.#surroundings;
    if (this.speakers.length === 1 && random() < 0.5) {
      this.#open();
      return;
    }
    this.speakers = this.speakers.filter((each) => each !== speaker);
    for (const roomId of this.rooms.keys()) this.#gone.add(roomId);
    // What a slow storage has not written by then is lost with its page.
    if (random() < 0.5) speaker.page?.kill();
    else void speaker.page?.run(() => speaker.client.close());
  }

  #open(): void {
    const { link, recorder, random } = this.#surroundings;
    const page = this.#browser?.open();
    this.#pages += 1;
    const written = this.#pen.link(link, this.#pages);
    const inPage = page?.link(written) ?? written;
    const connected = () => connect('test:', { link: inPage, ...(page && { storage: page.storage }) });
    const speaker = new Speaker(this, { client: page ? page.run(connected) : connected(), page, recorder, random });
    speaker.client.on('state', (state) => {
      if (state === 'reconnecting') this.drops += 1;
    });
    this.speakers = [...this.speakers, speaker];
    for (const roomId of this.rooms.keys()) speaker.join(roomId);
  }
}

interface SpeakerOptions {
  client: Client;
  page: Page | undefined;
  recorder: Recorder;
  random: Random;
}

/** Somebody in one page, who does whatever comes to mind. */
class Speaker {
  readonly client: Client;
  readonly page: Page | undefined;
  readonly name: string;
  readonly #person: Person;
  readonly #random: Random;
  readonly #recorder: Recorder;
  readonly #rooms = new Map<string, Room>();
  readonly #joining = new Set<string>();
  readonly #hearings = new Map<Room, { hearing: Hearing; begin: number }>();

  constructor(person: Person, { client, page, recorder, random }: SpeakerOptions) {
    this.#person = person;
    this.name = person.name;
    this.client = client;
    this.page = page;
    this.#random = random;
    this.#recorder = recorder;
  }

  act(): void {
    const roomId = this.#anyOf(ROOMS) as string;
    const room = this.#rooms.get(roomId);
    if (!room) this.join(roomId);
    else this.#inPage(() => this.#actIn(room));
  }

  /** Its machine falls asleep, or wakes up. */
  nod(): void {
    if (this.page?.isAsleep) this.page.wake();
    else this.page?.sleep();
  }

  roomOf(roomId: string): Room | undefined {
    return this.#rooms.get(roomId);
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

  join(roomId: string): void {
    if (this.#joining.has(roomId)) return;
    this.#joining.add(roomId);
    this.#inPage(() => this.client.join(roomId, { username: this.name, create: true })).then(
      (room) => {
        this.#joining.delete(roomId);
        this.#rooms.set(roomId, room);
        if (!this.#person.rooms.has(roomId)) this.#person.rooms.set(roomId, []);
        this.#listen(room);
      },
      () => this.#joining.delete(roomId),
    );
  }

  #inPage<Result>(step: () => Result): Result {
    return this.page ? this.page.run(step) : step();
  }

  #listen(room: Room): void {
    const hearing: Hearing = { client: this.name, heard: [], acked: 0, hasOtherPages: this.page !== undefined };
    this.#hearings.set(room, { hearing, begin: room.position.seq });
    this.#recorder.rooms.get(room.id)?.hearings.push(hearing);
    room.on('entry', (entry) => hearing.heard.push(entry as unknown as Heard));
    room.on('ended', ({ reason }) => {
      this.#rooms.delete(room.id);
      if (reason !== 'closed') this.#person.ended(room.id);
    });
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
    else if (dice < 0.6 && seq !== undefined) this.#say(room, { replyTo: seq });
    else this.#say(room);
  }

  #say(room: Room, options: SendOptions = {}): void {
    const chat = room.send(this.#words(), options);
    this.#person.rooms.get(room.id)?.push({ chat, speaker: this });
  }

  #signal(room: Room): void {
    if (this.#random() < 0.5) room.typing();
    else room.markRead();
  }

  #words(): string {
    return `${this.name} ${this.#person.nextWord()}`;
  }

  #anyOf<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.#random() * items.length)];
  }
}
