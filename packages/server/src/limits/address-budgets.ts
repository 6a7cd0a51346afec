import { type AddressLimits, ChatError, type RateLimit } from '@engawa/protocol';
import { ByteBudget } from './byte-budget.ts';
import { KeyedTokenBuckets } from './keyed-token-buckets.ts';
import { TokenBucket } from './token-bucket.ts';

/** Rooms that an address joined lately, as far as that is remembered. */
const MAX_TRACKED_ROOMS = 10_000;

/**
 * What the connections of one network address may use together once they are in: rooms, names in them, and memory. Most
 * addresses have one connection and use little of it: what is not used is not made. A limit that was lifted is no limit.
 */
export class AddressBudgets {
  readonly #limits: AddressLimits;
  #resumes: TokenBucket | undefined;
  #queuedBytes: ByteBudget | undefined;
  #responseBytes: ByteBudget | undefined;
  #roomCreations: TokenBucket | undefined;
  #storedBytes: TokenBucket | undefined;
  #joins: TokenBucket | undefined;
  #roomJoins: KeyedTokenBuckets | undefined;
  /** Rooms that its connections are in, each as often as it is in it. */
  #membershipCount = 0;
  /** How many names its connections have in each room. */
  #nameCounts: Map<string, number> | undefined;

  constructor(limits: AddressLimits) {
    this.#limits = limits;
  }

  /** Rooms that are resumed. */
  get resumes(): TokenBucket | undefined {
    this.#resumes ??= createBucket(this.#limits.resumes);
    return this.#resumes;
  }

  /** Rooms that are opened. */
  get roomCreations(): TokenBucket | undefined {
    this.#roomCreations ??= createBucket(this.#limits.rooms);
    return this.#roomCreations;
  }

  /** Bytes that are added to rooms. */
  get storedBytes(): TokenBucket | undefined {
    this.#storedBytes ??= createBucket(this.#limits.bytes);
    return this.#storedBytes;
  }

  /** What its connections have asked and is not begun. */
  get queuedBytes(): ByteBudget | undefined {
    this.#queuedBytes ??= createBudget(this.#limits.waitingBytes);
    return this.#queuedBytes;
  }

  /** Large answers, until they are read. */
  get responseBytes(): ByteBudget | undefined {
    this.#responseBytes ??= createBudget(this.#limits.answerBytes);
    return this.#responseBytes;
  }

  /** Forgetting it changes nothing. */
  get isIdle(): boolean {
    const areBucketsFull = [this.#resumes, this.#joins, this.#roomCreations, this.#storedBytes].every((bucket) => bucket?.isFull() ?? true);
    return areBucketsFull && (this.#roomJoins?.areAllFull() ?? true) && this.#membershipCount === 0;
  }

  /** Somebody joins a room: of all that join there from here, and of all that join anywhere. */
  takeJoinToken(roomId: string): void {
    this.#joins ??= createBucket(this.#limits.joins);
    const refusal = this.#joins?.takeOrError();
    if (refusal) throw refusal;
    try {
      this.takeRejoinToken(roomId);
    } catch (error) {
      this.#joins?.refund(1);
      throw error;
    }
  }

  /** Whose name has lapsed takes it again: that they resume was counted already. */
  takeRejoinToken(roomId: string): void {
    const { roomJoins } = this.#limits;
    if (roomJoins) this.#roomJoins ??= new KeyedTokenBuckets(roomJoins, MAX_TRACKED_ROOMS);
    const refusal = this.#roomJoins?.takeOrError(roomId);
    if (refusal) throw refusal;
  }

  /** It was a member already. */
  refundJoin(roomId: string): void {
    this.#joins?.refund(1);
    this.#roomJoins?.refund(roomId);
  }

  /** A connection comes into so many rooms that it is not in yet. */
  requireRoomLimit(rooms: number): void {
    const { seats } = this.#limits;
    if (seats !== null && this.#membershipCount + rooms > seats) throw new ChatError('too_many_rooms', { message: TOO_MANY_ROOMS_MESSAGE });
  }

  /** A connection has so many names more in a room. */
  requireNameLimit(roomId: string, names: number): void {
    const { membersPerRoom } = this.#limits;
    if (membersPerRoom !== null && this.nameCount(roomId) + names > membersPerRoom) throw new ChatError('too_many_names');
  }

  nameCount(roomId: string): number {
    return this.#nameCounts?.get(roomId) ?? 0;
  }

  /** A connection has a name more in a room; `isFirst` when it was not there before. */
  addName(roomId: string, isFirst: boolean): void {
    if (isFirst) this.#membershipCount += 1;
    if (this.#limits.membersPerRoom === null) return;
    this.#nameCounts ??= new Map();
    this.#nameCounts.set(roomId, this.nameCount(roomId) + 1);
  }

  /** It has a name less there; `isLast` when it is there no more. */
  removeName(roomId: string, isLast: boolean): void {
    if (isLast) this.#membershipCount -= 1;
    const remaining = this.nameCount(roomId) - 1;
    if (remaining > 0) this.#nameCounts?.set(roomId, remaining);
    else this.#nameCounts?.delete(roomId);
  }
}

const TOO_MANY_ROOMS_MESSAGE = 'The connections of this address are in as many rooms as they may be.';

const createBucket = (rate: RateLimit | null): TokenBucket | undefined => (rate === null ? undefined : new TokenBucket(rate));
const createBudget = (bytes: number | null): ByteBudget | undefined => (bytes === null ? undefined : new ByteBudget(bytes));
