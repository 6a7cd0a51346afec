/** The simulation: one seeded run of clients, servers and faults in virtual time, and its checks. */
import { isDeepStrictEqual } from 'node:util';
import { type Client, connect, type OutgoingChat, type Room, type SendOptions, type TransportFactory } from '@engawa/client';
import { type Faults, type Random, randomFrom, startTestServer, type TestServer } from '@engawa/client/testing';
import type { Store } from '@engawa/server';
import {
  findFaults,
  findForkFaults,
  type ReceivedEntry,
  type ReceivedLog,
  type RoomHistory,
  type RoomLog,
} from '@engawa/testkit/checkers/history';
import { readRoom } from '@engawa/testkit/checkers/recording';
import { type ClientRequestLog, RequestLog } from '@engawa/testkit/checkers/request-log';
import { findTimelineFaults } from '@engawa/testkit/checkers/timeline-check';
import { Browser, installBrowserGlobals, type Page } from './browser.ts';
import { startVirtualTime, type VirtualTime } from './virtual-time.ts';

const ROOMS = ['lobby', 'den::{*}'];
const NAMES = ['aya', 'Ben', 'chiyo', 'dan'];
const REACTIONS = ['👍', '/', '%'];
const FAULT_PHASE_MS = 20_000;
const ACTIONS = 160;
/** Long enough for every wait, every grace and every retry to end. */
const RECOVERY_PHASE_MS = 40_000;
const GRACE_MS = 3_000;
/** How long absent members stay, in one run after the other. */
const ABSENCE_CHOICES_MS = [0, 4_000, 24 * 3_600_000];
/** In every other run, so that most of its joins and leaves are not broadcast. */
const LARGE_ROOM = 2;

export interface SimulationResult {
  seed: number;
  /** The inconsistencies; empty if there are none. */
  faults: string[];
  /** What happened, without random ids: the same for the same seed. */
  trace: string;
  entries: number;
  /** The number of injected connection drops. */
  drops: number;
}

/** A bug to inject: in the shared store, or in what each client receives. */
export interface InjectedBug {
  store?: (store: Store) => void;
  transport?: (factory: TransportFactory) => TransportFactory;
}

/** One run: actors chat while everything fails; then all faults end, and everything must be consistent. */
export async function simulate(seed: number, injectedBug: InjectedBug = {}): Promise<SimulationResult> {
  const random = randomFrom(seed);
  const time = startVirtualTime(random);
  const uninstall = installBrowserGlobals();
  const nodes = 1 + Math.floor(random() * 3);
  const server = startTestServer({
    seed,
    nodes,
    faults: randomFaults(random),
    grace: GRACE_MS,
    absence: ABSENCE_CHOICES_MS[seed % ABSENCE_CHOICES_MS.length] as number,
    ...(seed % 2 === 0 && { largeRoomThreshold: LARGE_ROOM }),
  });
  const { lose } = server.faults;
  injectedBug.store?.(server.store);
  const requestLog = new RequestLog(ROOMS);
  const createTransport = injectedBug.transport?.(server.createTransport) ?? server.createTransport;
  const users = NAMES.map((name) => new SimulatedUser(name, { createTransport, requestLog, random }));
  const hasFailovers = random() < 0.25;
  const outageAt = random() < 0.3 ? Math.floor(random() * ACTIONS) : undefined;
  try {
    for (let action = 0; action < ACTIONS; action += 1) {
      users[Math.floor(random() * users.length)]?.act();
      if (hasFailovers) await maybeFailOver(server, random);
      if (action === outageAt) await takeServersDown(server, nodes, time);
      await time.advance(random() * 2 * (FAULT_PHASE_MS / ACTIONS));
    }
    server.clearFaults();
    for (const person of users) person.wakeAll();
    await time.advance(RECOVERY_PHASE_MS);
    // No client can notice that the last packet was lost, unless it asks, as it does after sleep.
    if (lose > 0) for (const { client } of pageClientsOf(users)) client.sync();
    await time.advance(RECOVERY_PHASE_MS);
    const found = await checkRun(users, { server, requestLog, hasFailovers }, (promise) => runToCompletion(promise, time));
    return { seed, ...found, drops: users.reduce((sum, { drops }) => sum + drops, 0) };
  } finally {
    for (const { client } of pageClientsOf(users)) void client.close();
    await runToCompletion(server.close(), time);
    uninstall();
    time.restore();
  }
}

const pageClientsOf = (people: SimulatedUser[]): PageClient[] => people.flatMap(({ pageClients }) => pageClients);

/** Fails over to a replica that lags behind. */
async function maybeFailOver(server: TestServer, random: Random): Promise<void> {
  if (random() < 0.2) server.replicate();
  if (random() < 0.02) await server.failOver();
}

/** Stops all servers until every lease has expired. */
async function takeServersDown(server: TestServer, nodes: number, time: VirtualTime): Promise<void> {
  for (let node = 0; node < nodes; node += 1) server.kill(node);
  await time.advance(2 * GRACE_MS);
  server.start();
}

function randomFaults(random: Random): Faults {
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

/** Lets time pass until the operation is done. */
async function runToCompletion<Result>(
  promise: Promise<Result>,
  time: { advance: (milliseconds: number) => Promise<void> },
): Promise<Result> {
  const done = { yet: false };
  promise.then(
    () => (done.yet = true),
    () => (done.yet = true),
  );
  for (let waited = 0; !done.yet && waited < 1_000; waited += 1) await time.advance(100);
  return promise;
}

type Finish = <Result>(promise: Promise<Result>) => Promise<Result>;

async function checkRun(
  people: SimulatedUser[],
  { server, requestLog, hasFailovers }: { server: TestServer; requestLog: RequestLog; hasFailovers: boolean },
  finish: Finish,
): Promise<Pick<SimulationResult, 'faults' | 'trace' | 'entries'>> {
  const faults: string[] = [];
  const trace: unknown[] = [];
  let entries = 0;
  for (const [roomId, seen] of requestLog.rooms) {
    const log = await readRoom(server.store, roomId, seen.sent);
    if (log.epoch === null) continue;
    const speakers = pageClientsOf(people);
    if (!hasFailovers) for (const speaker of speakers) speaker.recordAcknowledged(roomId, log);
    const found = hasFailovers ? findForkFaults(onlyRemaining(seen, roomId, people), log) : findFaults(seen, log);
    for (const speaker of speakers) found.push(...(await speaker.findFaults(roomId, log, finish)));
    if (!hasFailovers) for (const person of people) found.push(...person.findLostChats(roomId, log));
    faults.push(...found.map((fault) => `${roomId}: ${fault}`));
    entries += log.head;
    trace.push(log.entries.map(({ seq, by, kind, at }) => [seq, by, kind, at]));
    trace.push(seen.receivedLogs.map(({ client, entries }) => [client, entries.map(({ seq }) => seq)]));
  }
  return { faults, entries, trace: JSON.stringify(trace) };
}

/** A client that has left receives no reset, and does not resend lost chats; nor does a page that is gone. */
function onlyRemaining({ sent, receivedLogs }: RoomHistory, roomId: string, people: SimulatedUser[]): RoomHistory {
  const stayers = new Set(people.filter((person) => person.hasStayed(roomId)).map(({ name }) => name));
  return {
    sent: sent.filter(({ client }) => stayers.has(client)),
    receivedLogs: receivedLogs.filter(({ client }) => stayers.has(client)),
  };
}

interface UserOptions {
  createTransport: TransportFactory;
  requestLog: RequestLog;
  random: Random;
}

/** A chat, with the page that wrote it. */
interface WrittenChat {
  chat: OutgoingChat;
  pageClient: PageClient;
}

/** A user with up to two pages of a browser, which they open, close, and lose; or with one page that stores nothing. */
class SimulatedUser {
  readonly name: string;
  pageClients: PageClient[] = [];
  drops = 0;
  /** The rooms to be in, with the chats written there since the join. */
  readonly rooms = new Map<string, WrittenChat[]>();
  readonly #options: UserOptions;
  readonly #requestLog: ClientRequestLog;
  readonly #browser: Browser | undefined;
  /** Rooms in which a page was lost, or the user was not a member for a while. */
  readonly #departedRooms = new Set<string>();
  #pages = 0;
  #sentCount = 0;

  constructor(name: string, options: UserOptions) {
    const { requestLog, random } = options;
    this.name = name;
    this.#options = options;
    this.#requestLog = requestLog.forClient(name);
    const dice = random();
    if (dice > 0.3) this.#browser = new Browser(dice > 0.7 ? { read: 5, write: 50 } : undefined);
    this.#open();
  }

  act(): void {
    const { random } = this.#options;
    const speaker = this.pageClients[Math.floor(random() * this.pageClients.length)];
    if (!speaker) this.#open();
    else if (this.#browser && random() < 0.05) this.#changePages(speaker);
    else if (this.#browser && random() < 0.02) speaker.toggleSleep();
    else speaker.act();
  }

  /**
   * Wakes all machines and opens another page: a page that was killed just after a write may not have notified other pages, but the
   * next one finds it in the storage.
   */
  wakeAll(): void {
    if (this.#browser) this.#open();
    for (const { page } of this.pageClients) page?.wake();
  }

  nextNumber(): number {
    this.#sentCount += 1;
    return this.#sentCount;
  }

  onRoomEnded(roomId: string): void {
    this.rooms.delete(roomId);
    this.#departedRooms.add(roomId);
  }

  hasStayed(roomId: string): boolean {
    return !this.#departedRooms.has(roomId);
  }

  /** Chats that were written and stored, or sent, and are neither in the room nor failed nor discarded. */
  findLostChats(roomId: string, { storedResults }: RoomLog): string[] {
    const rooms = this.pageClients.flatMap((speaker) => speaker.roomOf(roomId) ?? []);
    if (rooms.length === 0) return [];
    const stored = new Set([...storedResults].flatMap(([{ payload }, places]) => (places.length > 0 ? [payload.clientId] : [])));
    const shown = new Map(rooms.flatMap(({ timeline }) => timeline.chats.map((chat) => [chat.clientId, chat.state])));
    return (this.rooms.get(roomId) ?? []).flatMap(({ chat: { clientId, message, state }, pageClient }) => {
      if (stored.has(clientId) || shown.get(clientId) === 'failed') return [];
      if (this.pageClients.includes(pageClient) && state === 'failed') return [];
      if (shown.get(clientId) === 'sending') return [`${this.name} keeps '${message}' unsent`];
      const isStored = [...(this.#browser?.writtenKeys ?? [])].some((key) => key.endsWith(`:${clientId}`));
      return isStored ? [`${this.name} lost '${message}'`] : [];
    });
  }

  #changePages(speaker: PageClient): void {
    const { random } = this.#options;
    if (this.pageClients.length === 1 && random() < 0.5) {
      this.#open();
      return;
    }
    this.pageClients = this.pageClients.filter((each) => each !== speaker);
    for (const roomId of this.rooms.keys()) this.#departedRooms.add(roomId);
    // What a slow storage has not written by then is lost with its page.
    if (random() < 0.5) speaker.page?.kill();
    else void speaker.page?.run(() => speaker.client.close());
  }

  #open(): void {
    const { createTransport, requestLog, random } = this.#options;
    const page = this.#browser?.open();
    this.#pages += 1;
    const written = this.#requestLog.wrapTransport(createTransport, this.#pages);
    const inPage = page?.wrapTransport(written) ?? written;
    const connected = () => connect('test:', { createTransport: inPage, ...(page && { storage: page.storage }) });
    const speaker = new PageClient(this, { client: page ? page.run(connected) : connected(), page, requestLog, random });
    speaker.client.on('state', (state) => {
      if (state === 'reconnecting') this.drops += 1;
    });
    this.pageClients = [...this.pageClients, speaker];
    for (const roomId of this.rooms.keys()) speaker.join(roomId);
  }
}

interface PageClientOptions {
  client: Client;
  page: Page | undefined;
  requestLog: RequestLog;
  random: Random;
}

/** One page that performs random actions. */
class PageClient {
  readonly client: Client;
  readonly page: Page | undefined;
  readonly name: string;
  readonly #user: SimulatedUser;
  readonly #random: Random;
  readonly #requestLog: RequestLog;
  readonly #rooms = new Map<string, Room>();
  readonly #joining = new Set<string>();
  readonly #receivedLogs = new Map<Room, { receivedLog: ReceivedLog; startSeq: number }>();

  constructor(user: SimulatedUser, { client, page, requestLog, random }: PageClientOptions) {
    this.#user = user;
    this.name = user.name;
    this.client = client;
    this.page = page;
    this.#random = random;
    this.#requestLog = requestLog;
  }

  act(): void {
    const roomId = this.#pickRandom(ROOMS) as string;
    const room = this.#rooms.get(roomId);
    if (!room) this.join(roomId);
    else this.#inPage(() => this.#actIn(room));
  }

  /** Puts its machine to sleep, or wakes it. */
  toggleSleep(): void {
    if (this.page?.isAsleep) this.page.wake();
    else this.page?.sleep();
  }

  roomOf(roomId: string): Room | undefined {
    return this.#rooms.get(roomId);
  }

  /** The newest acknowledged and broadcast entry of each received log. */
  recordAcknowledged(roomId: string, log: RoomLog): void {
    const { sent } = this.#requestLog.rooms.get(roomId) as RoomHistory;
    for (const [room, { receivedLog, startSeq }] of this.#receivedLogs) {
      if (room.id !== roomId || room.state !== 'live') continue;
      const own = sent.filter(({ client }) => client === this.name).flatMap(({ acks: [ack] }) => (ack?.id === undefined ? [] : [ack.seq]));
      receivedLog.lastAcknowledged = Math.max(0, ...own.filter((seq) => seq > startSeq && log.entries[seq - 1]?.quiet === false));
    }
  }

  /** Compares what it shows with the log, and with a fresh load of the room. */
  async findFaults(roomId: string, log: RoomLog, finish: Finish): Promise<string[]> {
    const room = this.#rooms.get(roomId);
    if (!room) return this.#joining.has(roomId) ? [`${this.name} is still joining`] : [];
    if (room.state !== 'live') return [`${this.name} is not live but ${room.state}`];
    const { epoch, seq, id } = room.position;
    const newest = log.entries.findLast(({ quiet }) => !quiet);
    if (seq > log.head || seq < (newest?.seq ?? 0)) return [`${this.name} is at ${seq}, the head is ${log.head}`];
    if (room.members !== log.counts.get('member')) return [`${this.name} counts ${room.members} members`];
    if (epoch !== log.epoch || id !== newest?.id) return [`${this.name} is at ${seq} of another log`];
    return [...this.#findInfoFaults(room, log), ...(await finish(findTimelineFaults(room)))];
  }

  #findInfoFaults({ topic, members, role }: Room, { keys, counts }: RoomLog): string[] {
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
        if (!this.#user.rooms.has(roomId)) this.#user.rooms.set(roomId, []);
        this.#listen(room);
      },
      () => this.#joining.delete(roomId),
    );
  }

  #inPage<Result>(step: () => Result): Result {
    return this.page ? this.page.run(step) : step();
  }

  #listen(room: Room): void {
    const receivedLog: ReceivedLog = { client: this.name, entries: [], lastAcknowledged: 0, hasOtherPages: this.page !== undefined };
    this.#receivedLogs.set(room, { receivedLog, startSeq: room.position.seq });
    this.#requestLog.rooms.get(room.id)?.receivedLogs.push(receivedLog);
    room.on('entry', (entry) => receivedLog.entries.push(entry as unknown as ReceivedEntry));
    room.on('ended', ({ reason }) => {
      this.#rooms.delete(room.id);
      if (reason !== 'closed') this.#user.onRoomEnded(room.id);
    });
    room.on('reset', () => receivedLog.entries.splice(0));
  }

  #actIn(room: Room): void {
    const dice = this.#random();
    const { chats } = room.timeline;
    const chat = this.#pickRandom(chats.filter(({ state }) => state === undefined));
    const seq = chat?.seq;
    if (dice < 0.03) void room.leave();
    else if (dice < 0.06 && room.role === 'owner') void room.remove(this.#pickRandom(NAMES) as string);
    else if (dice < 0.1 && room.role === 'owner') void room.setTopic(this.#nextText());
    else if (dice < 0.2 && seq !== undefined && chat?.username === this.name) void room.edit(seq, this.#nextText());
    else if (dice < 0.25 && seq !== undefined && chat?.username === this.name) void room.delete(seq);
    else if (dice < 0.35 && seq !== undefined) void room.react(seq, this.#pickRandom(REACTIONS) as string);
    else if (dice < 0.4 && seq !== undefined) void room.unreact(seq, this.#pickRandom(REACTIONS) as string);
    else if (dice < 0.45) this.#sendEphemeral(room);
    else if (dice < 0.6 && seq !== undefined) this.#sendChat(room, { replyTo: seq });
    else this.#sendChat(room);
  }

  #sendChat(room: Room, options: SendOptions = {}): void {
    const chat = room.send(this.#nextText(), options);
    this.#user.rooms.get(room.id)?.push({ chat, pageClient: this });
  }

  #sendEphemeral(room: Room): void {
    if (this.#random() < 0.5) room.typing();
    else room.markRead();
  }

  #nextText(): string {
    return `${this.name} ${this.#user.nextNumber()}`;
  }

  #pickRandom<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.#random() * items.length)];
  }
}
