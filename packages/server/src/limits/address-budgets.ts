/** Budgets that all connections of one network address share: rooms, names, requests and memory. */
import { type AddressLimits, ChatError, type RateLimit } from '@engawa/protocol';
import { ByteBudget } from './byte-budget.ts';
import { KeyedTokenBuckets } from './keyed-token-buckets.ts';
import { TokenBucket } from './token-bucket.ts';

/** Rooms with a token bucket of recent joins, for each address. */
const MAX_TRACKED_ROOMS = 10_000;

/**
 * Budgets that the connections of one network address share once they are admitted. Most addresses have one connection and use
 * little, so buckets are created on first use. A limit of null is no limit.
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
  /** Sum of the rooms of each connection: a room counts once for each connection. */
  #membershipCount = 0;
  /** Number of names that the connections have in each room. */
  #nameCounts: Map<string, number> | undefined;

  constructor(limits: AddressLimits) {
    this.#limits = limits;
  }

  /** Limits how many rooms are resumed. */
  get resumes(): TokenBucket | undefined {
    this.#resumes ??= createBucket(this.#limits.resumes);
    return this.#resumes;
  }

  /** Limits how many rooms are created. */
  get roomCreations(): TokenBucket | undefined {
    this.#roomCreations ??= createBucket(this.#limits.rooms);
    return this.#roomCreations;
  }

  /** Limits how many bytes are added to rooms. */
  get storedBytes(): TokenBucket | undefined {
    this.#storedBytes ??= createBucket(this.#limits.bytes);
    return this.#storedBytes;
  }

  /** Requests that wait to be run. */
  get queuedBytes(): ByteBudget | undefined {
    this.#queuedBytes ??= createBudget(this.#limits.waitingBytes);
    return this.#queuedBytes;
  }

  /** Large responses, until the client has read them. */
  get responseBytes(): ByteBudget | undefined {
    this.#responseBytes ??= createBudget(this.#limits.responseBytes);
    return this.#responseBytes;
  }

  /** Whether this object can be dropped without losing state. */
  get isIdle(): boolean {
    const areBucketsFull = [this.#resumes, this.#joins, this.#roomCreations, this.#storedBytes].every((bucket) => bucket?.isFull() ?? true);
    return areBucketsFull && (this.#roomJoins?.areAllFull() ?? true) && this.#membershipCount === 0;
  }

  /** Takes tokens for a join: of the address, and of the room at this address. */
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

  /** Takes a token for a member whose lease expired and who joins again while resuming. The resume itself was counted before. */
  takeRejoinToken(roomId: string): void {
    const { roomJoins } = this.#limits;
    if (roomJoins) this.#roomJoins ??= new KeyedTokenBuckets(roomJoins, MAX_TRACKED_ROOMS);
    const refusal = this.#roomJoins?.takeOrError(roomId);
    if (refusal) throw refusal;
  }

  /** Returns the tokens: the author was a member already. */
  refundJoin(roomId: string): void {
    this.#joins?.refund(1);
    this.#roomJoins?.refund(roomId);
  }

  /** Refuses if a connection would join this many more rooms. */
  requireRoomLimit(rooms: number): void {
    const { memberships } = this.#limits;
    if (memberships !== null && this.#membershipCount + rooms > memberships)
      throw new ChatError('too_many_rooms', { message: TOO_MANY_ROOMS_MESSAGE });
  }

  /** Refuses if a connection would get this many more names in a room. */
  requireNameLimit(roomId: string, names: number): void {
    const { membersPerRoom } = this.#limits;
    if (membersPerRoom !== null && this.nameCount(roomId) + names > membersPerRoom) throw new ChatError('too_many_names');
  }

  nameCount(roomId: string): number {
    return this.#nameCounts?.get(roomId) ?? 0;
  }

  /** Counts one more name of a connection in a room. `isFirst`: it is the connection's first name there. */
  addName(roomId: string, isFirst: boolean): void {
    if (isFirst) this.#membershipCount += 1;
    if (this.#limits.membersPerRoom === null) return;
    this.#nameCounts ??= new Map();
    this.#nameCounts.set(roomId, this.nameCount(roomId) + 1);
  }

  /** Counts one name less. `isLast`: it was the connection's last name there. */
  removeName(roomId: string, isLast: boolean): void {
    if (isLast) this.#membershipCount -= 1;
    const remaining = this.nameCount(roomId) - 1;
    if (remaining > 0) this.#nameCounts?.set(roomId, remaining);
    else this.#nameCounts?.delete(roomId);
  }
}

const TOO_MANY_ROOMS_MESSAGE = 'The connections of this address are in the maximum number of rooms.';

const createBucket = (rate: RateLimit | null): TokenBucket | undefined => (rate === null ? undefined : new TokenBucket(rate));
const createBudget = (bytes: number | null): ByteBudget | undefined => (bytes === null ? undefined : new ByteBudget(bytes));
