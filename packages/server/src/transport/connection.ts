import { ChatError, type EventName, events, type Limits, type Rate } from '@engawa/protocol';
import { SharedReads } from '../chat/commit.ts';
import { memberKey } from '../chat/keys.ts';
import { storedBytesOf } from '../chat/stored-bytes.ts';
import type { AddressBudgets } from './address-budgets.ts';
import type { Identity } from './authenticate.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { CatchUp } from './catch-up.ts';
import { Bucket } from './rates.ts';
import { SmallMap } from './small-map.ts';
import type { Peer } from './wire.ts';

interface Seat {
  room: Heard;
  /** Names that this connection has in the room, by their keys. */
  readonly usernames: SmallMap<string, string>;
}

interface Place {
  roomId: string;
  username: string;
}

/** A room, as far as a connection hears it. */
interface Heard {
  readonly roomId: string;
  fallBehind(peer: Peer, catchUp: CatchUp): void;
}

/** Asks of one connection that are begun together: more would keep others waiting. */
const MOST_IN_A_RUN = 32;

interface Asked {
  task: (shared: SharedReads) => Promise<void>;
  run: string | undefined;
  /** What it takes while it waits; nothing when it does not. */
  bytes: number;
}

interface Ask {
  /** Of those that may be begun together. */
  run?: string | undefined;
  payload?: unknown;
}

/** What the connections of an address have in common. */
interface Shared {
  /** For the log. */
  readonly name?: string;
  readonly packets: Bucket | undefined;
  readonly budgets: AddressBudgets;
}

interface Surroundings {
  limits: Limits;
  /** What its network address uses, all of its connections together; undefined where addresses are not limited. */
  address: Shared | undefined;
  /** What all connections of the node have asked and is not begun. */
  waiting: ByteBudget;
  /** Whether its client knows what to do with the offset of an entry. */
  takesOffset?: boolean;
}

/** One client's connection: who it is, where it sits, how much it may still ask, and what it asked so far. */
export class Connection {
  readonly identity: Identity;
  readonly address: Shared | undefined;
  readonly takesOffset: boolean;
  readonly seats = new SmallMap<string, Seat>();
  /** Set while it is told from the logs what happens in its rooms, and hears none of them. */
  catchUp: CatchUp | undefined;
  /** It is about to end: what it asks now is not heard. */
  isDismissed = false;
  readonly #limits: Limits;
  readonly #nodeWaiting: ByteBudget;
  #packets: Bucket | undefined;
  #resumes: Bucket | undefined;
  #signals: Bucket | undefined;
  #joins: Bucket | undefined;
  #refusals: Bucket | undefined;
  #waiting: Asked[] | undefined;
  #waitingBytes = 0;
  #going: Promise<void> | undefined;
  /** Asks that are waiting or being done. */
  #asked = 0;
  /** What was read for those who were last begun together, and which run that was. */
  #last: { run: string | undefined; shared: SharedReads } | undefined;

  constructor(identity: Identity, { limits, address, waiting, takesOffset = false }: Surroundings) {
    this.identity = identity;
    this.address = address;
    this.takesOffset = takesOffset;
    this.#limits = limits;
    this.#nodeWaiting = waiting;
  }

  mayAsk(event: string): void {
    const { rates } = this.#limits;
    if (RESUMES.has(event)) {
      this.mayResume(1);
      return;
    }
    if (SIGNALS.has(event)) this.#signals = taken(this.#signals, rates?.signals);
    else this.#packets = taken(this.#packets, rates?.packets);
    this.address?.packets?.take();
  }

  /**
   * Coming back is no fault of the client: it does not use up what else they may ask, nor is it refused when they have asked
   * much. But it costs, room by room.
   */
  mayResume(rooms: number): void {
    this.#resumes = taken(this.#resumes, this.#limits.rates?.resumes, rooms);
    const refusal = this.address?.budgets.resumes?.refusal(rooms);
    if (!refusal) return;
    this.#resumes?.giveBack(rooms);
    throw refusal;
  }

  /** Whether it may be counted what is unread in one more room: it costs what it costs to come back to one, and leaves enough for that. */
  mayCount(): boolean {
    const { rates } = this.#limits;
    if (rates) this.#resumes ??= new Bucket(rates.resumes);
    const buckets = [this.#resumes, this.address?.budgets.resumes];
    const mayCount = buckets.every((bucket) => bucket?.hasSpare() ?? true);
    if (mayCount) for (const bucket of buckets) bucket?.spend();
    return mayCount;
  }

  /** So many of these rooms were put off, and are asked for again. */
  resumedLess(rooms: number): void {
    this.#resumes?.giveBack(rooms);
    this.address?.budgets.resumes?.giveBack(rooms);
  }

  mayJoin(place: Place): void {
    this.maySit(place);
    this.#joins = taken(this.#joins, this.#limits.rates?.joins);
    this.address?.budgets.mayJoin(place.roomId);
  }

  maySit({ roomId, username }: Place): void {
    const seat = this.seats.get(roomId);
    if (seat?.usernames.has(memberKey(username))) return;
    if (!seat) this.#mayEnter(1);
    this.#mayName(roomId, 1);
  }

  /** Comes back to all of these at once. */
  mayReturn(places: Place[]): void {
    const names = new Map<string, number>();
    for (const { roomId } of places) names.set(roomId, (names.get(roomId) ?? 0) + 1);
    this.#mayEnter(names.size);
    for (const [roomId, count] of names) this.#mayName(roomId, count);
  }

  /** Milliseconds until something more may be kept from its network address. */
  get mayAddIn(): number {
    return this.address?.budgets.bytes?.wait() ?? 0;
  }

  get mayOpenRooms(): boolean {
    return (this.address?.budgets.rooms?.wait() ?? 0) === 0;
  }

  /** What it asked for was kept. */
  kept(ask: object): void {
    this.address?.budgets.bytes?.spend(storedBytesOf(ask));
  }

  roomOpened(): void {
    this.address?.budgets.rooms?.spend();
  }

  /** The first of his names there. */
  usernameIn(roomId: string): string | undefined {
    for (const [, username] of this.seats.get(roomId)?.usernames ?? []) return username;
    return undefined;
  }

  sit(room: Heard, key: string, username: string): void {
    const known = this.seats.get(room.roomId);
    const seat = known ?? { room, usernames: new SmallMap<string, string>() };
    if (!seat.usernames.has(key)) this.address?.budgets.sat(room.roomId, known === undefined);
    seat.usernames.set(key, username);
    this.seats.set(room.roomId, seat);
  }

  /** True when this was the connection's last name in the room. */
  rise(roomId: string, key: string): boolean {
    const seat = this.seats.get(roomId);
    if (!seat?.usernames.delete(key)) return false;
    const isLast = seat.usernames.size === 0;
    this.address?.budgets.rose(roomId, isLast);
    return isLast && this.seats.delete(roomId);
  }

  /**
   * What one connection asks is done in its order, one after the other: so a sender's own chats keep his order. Those that
   * follow each other with the same `run` are begun together, for they keep it by themselves: they share what they read, and
   * so do those that come later, as long as nothing else was asked between.
   */
  inTurn(task: Asked['task'], { run, payload }: Ask = {}): void {
    if (this.#asked >= this.#limits.waitingPerConnection) throw new ChatError('busy');
    // What is begun at once does not wait.
    const bytes = this.#going ? ASK_BYTES + memoryOf(payload) : 0;
    this.#mayWait(bytes);
    this.#asked += 1;
    this.#waiting ??= [];
    this.#waiting.push({ task, run, bytes });
    this.#going ??= this.#goOn(this.#waiting);
  }

  /** False when it was refused once too often. */
  mayBeRefused(): boolean {
    const { rates } = this.#limits;
    if (rates) this.#refusals ??= new Bucket(rates.refusals);
    this.isDismissed = this.#refusals?.refusal() !== undefined;
    return !this.isDismissed;
  }

  /** Resolves when everything that was asked so far is done. */
  async settled(): Promise<void> {
    await this.#going;
  }

  async #goOn(waiting: Asked[]): Promise<void> {
    // What came in the same packet comes along.
    await Promise.resolve();
    while (waiting.length > 0) {
      const begun = waiting.splice(0, lengthOfRun(waiting));
      for (const { bytes } of begun) this.#begins(bytes);
      const [first] = begun as [Asked];
      const shared = this.#sharedBy(first.run);
      await (begun.length === 1 ? first.task(shared) : Promise.all(begun.map(({ task }) => task(shared))));
      this.#asked -= begun.length;
    }
    this.#waiting = undefined;
    this.#going = undefined;
  }

  #mayEnter(rooms: number): void {
    if (this.seats.size + rooms > this.#limits.roomsPerConnection) throw new ChatError('too_many_rooms');
    this.address?.budgets.mayEnter(rooms);
  }

  #mayName(roomId: string, names: number): void {
    const known = this.seats.get(roomId)?.usernames.size ?? 0;
    if (known + names > this.#limits.namesPerRoom) throw new ChatError('too_many_names');
    this.address?.budgets.mayName(roomId, names);
  }

  #mayWait(bytes: number): void {
    if (bytes === 0) return;
    if (this.#waitingBytes + bytes > this.#limits.waitingBytesPerConnection) throw new ChatError('busy');
    if (this.address?.budgets.waiting?.tryTake(bytes) === false) throw new ChatError('busy');
    if (this.#nodeWaiting.tryTake(bytes)) this.#waitingBytes += bytes;
    else {
      this.address?.budgets.waiting?.giveBack(bytes);
      throw new ChatError('busy');
    }
  }

  #begins(bytes: number): void {
    if (bytes === 0) return;
    this.#waitingBytes -= bytes;
    this.address?.budgets.waiting?.giveBack(bytes);
    this.#nodeWaiting.giveBack(bytes);
  }

  #sharedBy(run: string | undefined): SharedReads {
    if (run === undefined || run !== this.#last?.run) this.#last = { run, shared: new SharedReads() };
    else this.#last.shared.beginAgain();
    return this.#last.shared;
  }
}

function lengthOfRun(waiting: Asked[]): number {
  const { run } = waiting[0] as Asked;
  if (run === undefined) return 1;
  const end = waiting.findIndex((asked, index) => asked.run !== run || index === MOST_IN_A_RUN);
  return end === -1 ? waiting.length : end;
}

/** Both are told what was missed. */
const RESUMES = new Set(['resume:rooms', 'list:entries'] satisfies EventName[] as string[]);
const SIGNALS = new Set(Object.entries(events).flatMap(([event, definition]) => ('signalled' in definition ? [event] : [])));

/** The bucket, made when it is first needed, less so many tokens; or throws the refusal. */
function taken(bucket: Bucket | undefined, rate: Rate | undefined, tokens = 1): Bucket | undefined {
  if (!rate) return undefined;
  const known = bucket ?? new Bucket(rate);
  known.take(tokens);
  return known;
}

/** Of what a queue keeps of an ask beside its payload. */
const ASK_BYTES = 512;
const VALUE_BYTES = 16;

/** About how much memory an ask takes: its payload was checked, and is not deep. */
function memoryOf(payload: unknown): number {
  if (typeof payload === 'string') return VALUE_BYTES + 2 * payload.length;
  if (typeof payload !== 'object' || payload === null) return VALUE_BYTES;
  return Object.values(payload).reduce((sum: number, value) => sum + memoryOf(value), 2 * VALUE_BYTES);
}
