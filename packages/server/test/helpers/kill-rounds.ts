/** Rounds of load and kill -9 against one server process, checked by the history checker. */
import { createHash } from 'node:crypto';
import type { Ack, CommandName } from '@engawa/protocol';
import { findFaults, type ReceivedLog, type RoomHistory, type SentCommand } from '@engawa/testkit/checkers/history';
import { readEntries, readRoom, recordReceived } from '@engawa/testkit/checkers/recording';
import { STARTED_WITHIN_MS, until, withTimeout } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { openStoreAt } from '@engawa/testkit/stores';
import { io, type Socket } from 'socket.io-client';
import type { Entry } from '#store/contract.js';

/** Rounds that share their rooms; after them everything is checked, and new rooms are opened. */
const ROUNDS_PER_CHAPTER = 20;
const ROOMS = 3;
const NAMES = ['Aya', 'ben/1', '100%', 'ちよ', "D'Arcy"];
const REACTIONS = ['👍', '/', '%', '縁'];
/** Commands that an actor sends before it waits for an answer. */
const IN_FLIGHT = 6;
/** A kill comes up to this number of milliseconds after up to this number of answers. */
const KILL_AFTER_ANSWERS = 120;
const KILL_DELAY_MS = 60;
/** Of a hundred rounds, this number begin with a start that is killed during the start. */
const KILLED_STARTS = 10;
const START_MS = 300;

export interface KillRoundsOptions {
  rounds: number;
  seed: number;
  /** The store of every server: a directory or a URL. */
  storeLocation: string;
  onChapter?: (figures: KillReport) => void;
}

export interface KillReport {
  rounds: number;
  /** Servers that were killed before they listened. */
  killedStarts: number;
  /** Acknowledged commands, by event. */
  acknowledged: Record<string, number>;
  /** By event and code. */
  refused: Record<string, number>;
  /** Commands whose answer was lost: stored before the kill, sent again after it, answered then. */
  repeated: number;
  /** Commands that the kill prevented: sent again after it, and stored then. */
  storedOnRetry: number;
  /** Commands that were sent again although they were acknowledged long ago. */
  retried: number;
  entries: number;
  faults: string[];
}

/** Starts a server, lets clients chat, kills it with SIGKILL, and repeats this on the same store until a fault is found. */
export async function runKillRounds({ rounds, seed, storeLocation, onChapter }: KillRoundsOptions): Promise<KillReport> {
  const figures: KillReport = {
    rounds: 0,
    killedStarts: 0,
    acknowledged: {},
    refused: {},
    repeated: 0,
    storedOnRetry: 0,
    retried: 0,
    entries: 0,
    faults: [],
  };
  const random = randomFrom(seed);
  const seals: RoomDigest[] = [];
  while (figures.rounds < rounds && figures.faults.length === 0) {
    const chapter = openChapter(seed, figures);
    const last = Math.min(rounds, figures.rounds + ROUNDS_PER_CHAPTER);
    for (; figures.rounds < last; figures.rounds += 1) await playRound(chapter.speakers, { place: storeLocation, random, figures });
    seals.push(...(await checkChapter(chapter, storeLocation, figures)));
    onChapter?.(figures);
  }
  figures.faults.push(...(await findChangedRooms(seals, storeLocation)));
  return figures;
}

interface Chapter {
  rooms: Map<string, RoomHistory>;
  speakers: ScriptedMember[];
}

function openChapter(seed: number, figures: KillReport): Chapter {
  const roomIds = Array.from({ length: ROOMS }, (_, index) => `room/${figures.rounds}-${index}`);
  const rooms = new Map(roomIds.map((roomId): [string, RoomHistory] => [roomId, { sent: [], receivedLogs: [] }]));
  let tick = 0;
  const clock = () => (tick += 1);
  const speakers = NAMES.map((name, index) => {
    const session = createHash('sha256').update(`${seed} ${name}`).digest('base64url').slice(0, 32);
    const random = randomFrom(seed + figures.rounds * NAMES.length + index);
    return new ScriptedMember({ name, session, rooms, figures, random, clock });
  });
  return { rooms, speakers };
}

async function playRound(
  speakers: ScriptedMember[],
  { place, random, figures }: { place: string; random: Random; figures: KillReport },
): Promise<void> {
  if (random(100) < KILLED_STARTS) {
    const unlucky = new ServerProcess(place);
    await sleep(random(START_MS));
    await unlucky.kill();
    figures.killedStarts += 1;
  }
  const server = new ServerProcess(place);
  try {
    const url = await withTimeout(server.listening, 'a server to listen', STARTED_WITHIN_MS);
    const enough = answersOf(figures) + random(KILL_AFTER_ANSWERS);
    let cutOff = 0;
    const gone = speakers.map(async (speaker) => {
      await speaker.run(url);
      cutOff += 1;
    });
    await until(() => cutOff > 0 || answersOf(figures) >= enough, 'enough was answered');
    if (cutOff > 0) throw new Error(`A connection was lost before the kill. ${server.output}`);
    await sleep(random(KILL_DELAY_MS));
    await server.kill();
    await withTimeout(Promise.all(gone), 'the connections to close');
  } finally {
    await server.kill();
  }
}

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((total, count) => total + count, 0);
const answersOf = ({ acknowledged, refused }: KillReport): number => sum(acknowledged) + sum(refused);
const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A room as one actor knows it. */
interface SpeakerRoom {
  roomId: string;
  history: RoomHistory;
  createCommand: SentCommand;
  receivedLog: ReceivedLog;
  /** The head in the answer to the join on this connection. */
  head: number | undefined;
  isOwner: boolean;
  /** The chats of the actor that are acknowledged and not deleted. */
  ownChats: number[];
  reactions: { chatSeq: number; reaction: string }[];
}

type Acknowledged = { epoch: string; seq: number; id?: string; role?: string };

interface SpeakerOptions {
  name: string;
  session: string;
  rooms: Map<string, RoomHistory>;
  figures: KillReport;
  random: Random;
  clock: () => number;
}

/** One client with one name in all rooms, which uses its session and resends unanswered commands over all connections. */
class ScriptedMember {
  readonly #options: SpeakerOptions;
  readonly #rooms: Map<string, SpeakerRoom>;
  /** Sent and not answered, in the order of sending. */
  readonly #outbox = new Set<SentCommand>();
  /** The commands that were sent again on this connection. */
  #sentAgain = new Set<SentCommand>();
  readonly #acknowledged: SentCommand[] = [];
  #commandCount = 0;
  #socket: Socket | undefined;

  constructor(options: SpeakerOptions) {
    this.#options = options;
    this.#rooms = new Map([...options.rooms].map(([roomId, history]) => [roomId, this.#placeIn(roomId, history)]));
  }

  /** Sends the next commands after each answer; resolves when the connection has ended. */
  async run(url: string): Promise<void> {
    const { name, session } = this.#options;
    const socket = io(url, { forceNew: true, reconnection: false, transports: ['websocket'], auth: { session } });
    this.#socket = socket;
    for (const place of this.#rooms.values()) {
      place.head = undefined;
      place.receivedLog = { client: name, entries: [], lastAcknowledged: 0 };
      place.history.receivedLogs.push(place.receivedLog);
    }
    recordReceived(socket, (roomId) => this.#rooms.get(roomId)?.receivedLog);
    socket.on('connect', () => this.#begin());
    await new Promise((resolve) => socket.once('disconnect', resolve).once('connect_error', resolve));
    socket.close();
  }

  #begin(): void {
    for (const place of this.#rooms.values()) {
      this.#send(place.createCommand);
      this.#send(this.#create('add:member', place));
    }
    this.#sentAgain = new Set(this.#outbox);
    for (const sent of this.#outbox) this.#send(sent);
    const acknowledged = this.#pickRandom(this.#acknowledged);
    if (acknowledged) this.#send(acknowledged);
    this.#fillPipeline();
  }

  #fillPipeline(): void {
    while (this.#socket?.connected && this.#outbox.size < IN_FLIGHT) {
      for (const sent of this.#nextCommands()) {
        this.#outbox.add(sent);
        this.#send(sent);
      }
    }
  }

  /** Mostly chats; a leave is followed by a rejoin, so that no chat comes in between. */
  #nextCommands(): SentCommand[] {
    const place = this.#pickRandom([...this.#rooms.values()]) as SpeakerRoom;
    const message = `${this.#commandCount} ${'…'.repeat(this.#options.random(80))}`;
    const dice = this.#options.random(100);
    if (dice < 3) return [this.#createWithClientId('remove:member', place), this.#createWithClientId('add:member', place)];
    if (dice < 8 && place.isOwner) return [this.#createWithClientId('update:room', place, { topic: message })];
    const chatSeq = this.#pickRandom(place.ownChats);
    if (dice < 16 && chatSeq !== undefined) return [this.#createWithClientId('update:chat', place, { chatSeq, message })];
    if (dice < 20 && chatSeq !== undefined) return [this.#deletion(place, chatSeq)];
    if (dice < 34) return [this.#reaction(place, dice < 29) ?? this.#createWithClientId('create:chat', place, { message })];
    return [this.#createWithClientId('create:chat', place, { message })];
  }

  #deletion(place: SpeakerRoom, chatSeq: number): SentCommand {
    place.ownChats = place.ownChats.filter((own) => own !== chatSeq);
    return this.#createWithClientId('delete:chat', place, { chatSeq });
  }

  #reaction(place: SpeakerRoom, isGiving: boolean): SentCommand | undefined {
    const received = this.#pickRandom(place.receivedLog.entries);
    const reaction = this.#pickRandom(REACTIONS) as string;
    const given = isGiving ? received?.kind === 'create:chat' && { chatSeq: received.seq, reaction } : place.reactions.shift();
    if (!given) return undefined;
    if (isGiving) place.reactions.push(given);
    return this.#createWithClientId(isGiving ? 'add:reaction' : 'remove:reaction', place, given);
  }

  #createWithClientId(event: CommandName, place: SpeakerRoom, fields: object = {}): SentCommand {
    this.#commandCount += 1;
    return this.#create(event, place, { clientId: `${this.#options.name} ${this.#commandCount}`, ...fields });
  }

  #create(event: CommandName, { roomId, history }: Pick<SpeakerRoom, 'roomId' | 'history'>, fields: object = {}): SentCommand {
    const { name, clock } = this.#options;
    const sent: SentCommand = { client: name, event, payload: { roomId, username: name, ...fields }, sentSequence: clock(), acks: [] };
    history.sent.push(sent);
    return sent;
  }

  #placeIn(roomId: string, history: RoomHistory): SpeakerRoom {
    const createCommand = this.#create('create:room', { roomId, history }, { clientId: `${this.#options.name} opens` });
    const receivedLog = { client: this.#options.name, entries: [], lastAcknowledged: 0 };
    return { roomId, history, createCommand, receivedLog, head: undefined, isOwner: false, ownChats: [], reactions: [] };
  }

  #send(sent: SentCommand): void {
    this.#socket?.emit(sent.event, sent.payload, (answer: Ack<CommandName>) => {
      this.#outbox.delete(sent);
      if (answer.ok) this.#acknowledge(sent, answer);
      else {
        sent.refusal = answer.error.code;
        count(this.#options.figures.refused, `${sent.event} ${answer.error.code}`);
      }
      this.#fillPipeline();
    });
  }

  #acknowledge(sent: SentCommand, { epoch, seq, id, role }: Acknowledged): void {
    const place = this.#rooms.get(sent.payload.roomId) as SpeakerRoom;
    const isFirst = sent.acks.length === 0;
    sent.acks.push({ sequence: this.#options.clock(), epoch, seq, ...(id !== undefined && { id }) });
    if (role !== undefined && sent.payload.clientId === undefined) Object.assign(place, { head: seq, isOwner: role === 'owner' });
    if (!isFirst) this.#options.figures.retried += 1;
    else this.#recordResult(sent, place, id === undefined ? undefined : seq);
  }

  /** Entries up to the head at which this connection began were stored before it. */
  #recordResult(sent: SentCommand, place: SpeakerRoom, seq: number | undefined): void {
    const { figures } = this.#options;
    count(figures.acknowledged, sent.event);
    if (seq === undefined || place.head === undefined) return;
    const isStoredBefore = seq <= place.head;
    if (!isStoredBefore) place.receivedLog.lastAcknowledged = seq;
    if (this.#sentAgain.has(sent)) figures[isStoredBefore ? 'repeated' : 'storedOnRetry'] += 1;
    if (sent.payload.clientId !== undefined) this.#acknowledged.push(sent);
    if (sent.event === 'create:chat') place.ownChats.push(seq);
  }

  #pickRandom<Item>(items: Item[]): Item | undefined {
    return items[Math.floor(this.#options.random(items.length))];
  }
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** A checked room: its content then must be its content in the end. */
interface RoomDigest {
  roomId: string;
  head: number;
  digest: string;
}

async function checkChapter({ rooms }: Chapter, place: string, figures: KillReport): Promise<RoomDigest[]> {
  const store = await openStoreAt(place);
  const seals: RoomDigest[] = [];
  for (const [roomId, history] of rooms) {
    const log = await readRoom(store, roomId, history.sent);
    figures.faults.push(...findFaults(history, log).map((fault) => `${roomId}: ${fault}`));
    figures.entries += log.head;
    seals.push({ roomId, head: log.head, digest: digestOf(log.entries) });
  }
  await store.close();
  return seals;
}

async function findChangedRooms(seals: RoomDigest[], place: string): Promise<string[]> {
  const store = await openStoreAt(place);
  const faults: string[] = [];
  for (const { roomId, head, digest } of seals) {
    const entries = await readEntries(store, roomId);
    if (digestOf(entries.slice(0, head)) !== digest) faults.push(`${roomId}: it changed after it was checked`);
  }
  await store.close();
  return faults;
}

const digestOf = (entries: Entry[]): string => createHash('sha256').update(JSON.stringify(entries)).digest('base64');

/** A number from 0 up to, not including, the given one. */
type Random = (below: number) => number;

/** mulberry32: the same seed gives the same numbers. */
function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return (((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * below;
  };
}
