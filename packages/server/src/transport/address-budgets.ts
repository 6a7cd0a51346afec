import { type AddressLimits, ChatError, type Rate } from '@engawa/protocol';
import { ByteBudget } from './byte-budget.ts';
import { KeyedBuckets } from './keyed-buckets.ts';
import { Bucket } from './rates.ts';

/** Rooms that an address joined lately, as far as that is remembered. */
const MOST_ROOMS = 10_000;

/**
 * What the connections of one network address may use together once they are in: rooms, names in them, and memory. Most
 * addresses have one connection and use little of it: what is not used is not made. A limit that was lifted is no limit.
 */
export class AddressBudgets {
  readonly #limits: AddressLimits;
  #resumes: Bucket | undefined;
  #waiting: ByteBudget | undefined;
  #answers: ByteBudget | undefined;
  #rooms: Bucket | undefined;
  #bytes: Bucket | undefined;
  #joins: Bucket | undefined;
  #roomJoins: KeyedBuckets | undefined;
  /** Rooms that its connections are in, each as often as it is in it. */
  #seats = 0;
  /** How many names its connections have in each room. */
  #names: Map<string, number> | undefined;

  constructor(limits: AddressLimits) {
    this.#limits = limits;
  }

  /** Rooms that are resumed. */
  get resumes(): Bucket | undefined {
    this.#resumes ??= bucketOf(this.#limits.resumes);
    return this.#resumes;
  }

  /** Rooms that are opened. */
  get rooms(): Bucket | undefined {
    this.#rooms ??= bucketOf(this.#limits.rooms);
    return this.#rooms;
  }

  /** Bytes that are added to rooms. */
  get bytes(): Bucket | undefined {
    this.#bytes ??= bucketOf(this.#limits.bytes);
    return this.#bytes;
  }

  /** What its connections have asked and is not begun. */
  get waiting(): ByteBudget | undefined {
    this.#waiting ??= budgetOf(this.#limits.waitingBytes);
    return this.#waiting;
  }

  /** Large answers, until they are read. */
  get answers(): ByteBudget | undefined {
    this.#answers ??= budgetOf(this.#limits.answerBytes);
    return this.#answers;
  }

  /** Forgetting it changes nothing. */
  get isIdle(): boolean {
    const buckets = [this.#resumes, this.#joins, this.#rooms, this.#bytes].every((bucket) => bucket?.isFull() ?? true);
    return buckets && (this.#roomJoins?.areFull() ?? true) && this.#seats === 0;
  }

  /** Somebody joins a room: of all that join there from here, and of all that join anywhere. */
  mayJoin(roomId: string): void {
    this.#joins ??= bucketOf(this.#limits.joins);
    const refusal = this.#joins?.refusal();
    if (refusal) throw refusal;
    try {
      this.mayRejoin(roomId);
    } catch (error) {
      this.#joins?.giveBack(1);
      throw error;
    }
  }

  /** Whose name has lapsed takes it again: that they resume was counted already. */
  mayRejoin(roomId: string): void {
    const { roomJoins } = this.#limits;
    if (roomJoins) this.#roomJoins ??= new KeyedBuckets(roomJoins, MOST_ROOMS);
    const refusal = this.#roomJoins?.refusal(roomId);
    if (refusal) throw refusal;
  }

  /** It was a member already. */
  joinedNothing(roomId: string): void {
    this.#joins?.giveBack(1);
    this.#roomJoins?.giveBack(roomId);
  }

  /** A connection comes into so many rooms that it is not in yet. */
  mayEnter(rooms: number): void {
    const { seats } = this.#limits;
    if (seats !== null && this.#seats + rooms > seats) throw new ChatError('too_many_rooms', { message: TOO_MANY_ROOMS });
  }

  /** A connection has so many names more in a room. */
  mayName(roomId: string, names: number): void {
    const { membersPerRoom } = this.#limits;
    if (membersPerRoom !== null && this.namesIn(roomId) + names > membersPerRoom) throw new ChatError('too_many_names');
  }

  namesIn(roomId: string): number {
    return this.#names?.get(roomId) ?? 0;
  }

  /** A connection has a name more in a room; `isFirst` when it was not there before. */
  sat(roomId: string, isFirst: boolean): void {
    if (isFirst) this.#seats += 1;
    if (this.#limits.membersPerRoom === null) return;
    this.#names ??= new Map();
    this.#names.set(roomId, this.namesIn(roomId) + 1);
  }

  /** It has a name less there; `isLast` when it is there no more. */
  rose(roomId: string, isLast: boolean): void {
    if (isLast) this.#seats -= 1;
    const left = this.namesIn(roomId) - 1;
    if (left > 0) this.#names?.set(roomId, left);
    else this.#names?.delete(roomId);
  }
}

const TOO_MANY_ROOMS = 'The connections of this address are in as many rooms as they may be.';

const bucketOf = (rate: Rate | null): Bucket | undefined => (rate === null ? undefined : new Bucket(rate));
const budgetOf = (bytes: number | null): ByteBudget | undefined => (bytes === null ? undefined : new ByteBudget(bytes));
