/** One client's connection: its identity, its rooms, its rate limits, and its request queue. */
import { ChatError, definitionOf, isEventName, type Limits, type RateLimit } from '@engawa/protocol';
import { FactsCache } from '../domain/execute-command.ts';
import { memberKey } from '../domain/room-keys.ts';
import { estimateStoredBytes } from '../domain/stored-bytes.ts';
import type { AddressBudgets } from '../limits/address-budgets.ts';
import type { ByteBudget } from '../limits/byte-budget.ts';
import { SmallMap } from '../limits/small-map.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import type { BacklogDelivery } from './backlog.ts';
import type { Identity } from './identity.ts';
import type { Peer } from './peer.ts';

interface RoomMembership {
  room: JoinedRoom;
  /** Names of the connection in the room, by member key. */
  readonly usernames: SmallMap<string, string>;
}

interface MemberRef {
  roomId: string;
  username: string;
}

/** A room that broadcasts to its connections. */
interface JoinedRoom {
  readonly roomId: string;
  /** Stops broadcasts to the connection. */
  switchToBacklog(connection: Connection, delivery: BacklogDelivery): void;
  /** Resumes broadcasts to the connection. */
  resumeLive(connection: Connection): void;
}

/** Requests of one connection that run concurrently: more would delay other clients. */
const MAX_BATCH_SIZE = 32;

interface QueuedTask {
  task: () => Promise<void>;
  batchKey: string | undefined;
  /** Memory that the request uses while it waits; 0 if it does not wait. */
  bytes: number;
}

interface EnqueueOptions {
  /** Requests with the same key may run concurrently. */
  batchKey?: string | undefined;
  payload?: unknown;
}

/** The state that the connections of one network address share. */
interface ConnectionAddress {
  /** The address, for the log. */
  readonly name?: string;
  readonly packets: TokenBucket | undefined;
  readonly budgets: AddressBudgets;
}

interface ConnectionOptions {
  /** The sending side, which the transport implements. */
  peer: Peer;
  limits: Limits;
  /** The budgets of the network address; undefined if addresses are not limited. */
  address: ConnectionAddress | undefined;
  /** Bytes of waiting requests, of all connections of the node. */
  nodeQueuedBytes: ByteBudget;
  /** Whether the client can use the offset of an entry. */
  canUseOffsets?: boolean;
}

/** One client's connection: its identity, its rooms, its rate limits, and its request queue. */
export class Connection {
  readonly identity: Identity;
  readonly peer: Peer;
  readonly address: ConnectionAddress | undefined;
  readonly canUseOffsets: boolean;
  readonly memberships = new SmallMap<string, RoomMembership>();
  /** Set while the client receives its rooms from the logs; meanwhile no room broadcasts to it. */
  backlogDelivery: BacklogDelivery | undefined;
  /** The connection is closing: further requests are ignored. */
  isClosing = false;
  readonly #limits: Limits;
  readonly #nodeQueuedBytes: ByteBudget;
  #packets: TokenBucket | undefined;
  #resumes: TokenBucket | undefined;
  #ephemerals: TokenBucket | undefined;
  #joins: TokenBucket | undefined;
  #refusals: TokenBucket | undefined;
  #queue: QueuedTask[] | undefined;
  #queuedBytes = 0;
  #processing: Promise<void> | undefined;
  /** Requests that wait or run. */
  #pendingCount = 0;
  #lastBatchKey: string | undefined;
  #factsCache: FactsCache | undefined;

  constructor(identity: Identity, { peer, limits, address, nodeQueuedBytes, canUseOffsets = false }: ConnectionOptions) {
    this.identity = identity;
    this.peer = peer;
    this.address = address;
    this.canUseOffsets = canUseOffsets;
    this.#limits = limits;
    this.#nodeQueuedBytes = nodeQueuedBytes;
  }

  takeRequestToken(event: string): void {
    const rate = isEventName(event) ? definitionOf(event).rate : 'packets';
    if (rate === 'resumes') {
      this.takeResumeTokens(1);
      return;
    }
    const { rates } = this.#limits;
    if (rate === 'signals') this.#ephemerals = takeTokens(this.#ephemerals, rates?.signals);
    else this.#packets = takeTokens(this.#packets, rates?.packets);
    this.address?.packets?.takeOrThrow();
  }

  /**
   * Resumes have a token bucket of their own. The client did not cause the drop, so a resume neither uses up the tokens of other
   * requests nor is refused because of them. It costs one token for each room.
   */
  takeResumeTokens(rooms: number): void {
    this.#resumes = takeTokens(this.#resumes, this.#limits.rates?.resumes, rooms);
    const refusal = this.address?.budgets.resumes?.takeOrError(rooms);
    if (!refusal) return;
    this.#resumes?.refund(rooms);
    throw refusal;
  }

  /**
   * Takes a token for counting what is unread in one room, which costs as much as a resume. Half of the bucket remains for
   * resumes.
   */
  tryTakeCountToken(): boolean {
    const { rates } = this.#limits;
    if (rates) this.#resumes ??= new TokenBucket(rates.resumes);
    const buckets = [this.#resumes, this.address?.budgets.resumes];
    const isAllowed = buckets.every((bucket) => bucket?.isOverHalfFull() ?? true);
    if (isAllowed) for (const bucket of buckets) bucket?.spend();
    return isAllowed;
  }

  /** Returns the tokens of rooms that were deferred: the client asks for them again. */
  refundResumes(rooms: number): void {
    this.#resumes?.refund(rooms);
    this.address?.budgets.resumes?.refund(rooms);
  }

  takeJoinToken(member: MemberRef): void {
    this.requireLimitsFor(member);
    this.#joins = takeTokens(this.#joins, this.#limits.rates?.joins);
    this.address?.budgets.takeJoinToken(member.roomId);
  }

  requireLimitsFor({ roomId, username }: MemberRef): void {
    const membership = this.memberships.get(roomId);
    if (membership?.usernames.has(memberKey(username))) return;
    if (!membership) this.#requireRoomLimit(1);
    this.#requireNameLimit(roomId, 1);
  }

  /** The same for several members that are attached at once. */
  requireLimitsForAll(members: MemberRef[]): void {
    const names = new Map<string, number>();
    for (const { roomId } of members) names.set(roomId, (names.get(roomId) ?? 0) + 1);
    this.#requireRoomLimit(names.size);
    for (const [roomId, count] of names) this.#requireNameLimit(roomId, count);
  }

  /** Milliseconds until the network address may store more. */
  get writeRetryAfterMs(): number {
    return this.address?.budgets.storedBytes?.msUntilToken() ?? 0;
  }

  get canOpenRooms(): boolean {
    return (this.address?.budgets.roomCreations?.msUntilToken() ?? 0) === 0;
  }

  /** Counts the bytes that the request has stored. */
  spendStoredBytes(request: object): void {
    this.address?.budgets.storedBytes?.spend(estimateStoredBytes(request));
  }

  spendRoomCreation(): void {
    this.address?.budgets.roomCreations?.spend();
  }

  /** The first name of the connection in the room. */
  usernameIn(roomId: string): string | undefined {
    for (const [, username] of this.memberships.get(roomId)?.usernames ?? []) return username;
    return undefined;
  }

  attach(room: JoinedRoom, key: string, username: string): void {
    const existing = this.memberships.get(room.roomId);
    const membership = existing ?? { room, usernames: new SmallMap<string, string>() };
    if (!membership.usernames.has(key)) this.address?.budgets.addName(room.roomId, existing === undefined);
    membership.usernames.set(key, username);
    this.memberships.set(room.roomId, membership);
  }

  /** Returns true if this was the last name of the connection in the room. */
  detach(roomId: string, key: string): boolean {
    const membership = this.memberships.get(roomId);
    if (!membership?.usernames.delete(key)) return false;
    const isLast = membership.usernames.size === 0;
    this.address?.budgets.removeName(roomId, isLast);
    return isLast && this.memberships.delete(roomId);
  }

  /**
   * Runs the requests of one connection in order, one after the other, so that chats keep the order in which they were sent.
   * Consecutive requests with the same `batchKey` run concurrently, because they keep the order by themselves. They share the
   * facts that they read, and so does the next batch if it has the same key.
   */
  enqueue(task: QueuedTask['task'], { batchKey, payload }: EnqueueOptions = {}): void {
    if (this.#pendingCount >= this.#limits.waitingPerConnection) throw new ChatError('busy');
    // A request that starts at once does not count as waiting.
    const bytes = this.#processing ? QUEUED_TASK_OVERHEAD_BYTES + estimateMemoryBytes(payload) : 0;
    this.#takeQueuedBytes(bytes);
    this.#pendingCount += 1;
    this.#queue ??= [];
    this.#queue.push({ task, batchKey, bytes });
    this.#processing ??= this.#processQueue(this.#queue);
  }

  /** The facts that commands of the current batch share. */
  get factsCache(): FactsCache {
    this.#factsCache ??= new FactsCache();
    return this.#factsCache;
  }

  /** Returns false if the connection exceeds its rate of refusals. */
  takeRefusalToken(): boolean {
    const { rates } = this.#limits;
    if (rates) this.#refusals ??= new TokenBucket(rates.refusals);
    this.isClosing = this.#refusals?.takeOrError() !== undefined;
    return !this.isClosing;
  }

  /** Resolves when all requests so far are completed. */
  async waitUntilIdle(): Promise<void> {
    await this.#processing;
  }

  async #processQueue(queue: QueuedTask[]): Promise<void> {
    // Wait one microtask: requests of the same packet join the batch.
    await Promise.resolve();
    while (queue.length > 0) {
      const batch = queue.splice(0, batchLength(queue));
      for (const { bytes } of batch) this.#releaseQueuedBytes(bytes);
      const [first] = batch as [QueuedTask];
      this.#startBatch(first.batchKey);
      await (batch.length === 1 ? first.task() : Promise.all(batch.map(({ task }) => task())));
      this.#pendingCount -= batch.length;
    }
    this.#queue = undefined;
    this.#processing = undefined;
  }

  #requireRoomLimit(rooms: number): void {
    if (this.memberships.size + rooms > this.#limits.roomsPerConnection) throw new ChatError('too_many_rooms');
    this.address?.budgets.requireRoomLimit(rooms);
  }

  #requireNameLimit(roomId: string, names: number): void {
    const current = this.memberships.get(roomId)?.usernames.size ?? 0;
    if (current + names > this.#limits.namesPerRoom) throw new ChatError('too_many_names');
    this.address?.budgets.requireNameLimit(roomId, names);
  }

  #takeQueuedBytes(bytes: number): void {
    if (bytes === 0) return;
    if (this.#queuedBytes + bytes > this.#limits.waitingBytesPerConnection) throw new ChatError('busy');
    if (this.address?.budgets.queuedBytes?.tryTake(bytes) === false) throw new ChatError('busy');
    if (this.#nodeQueuedBytes.tryTake(bytes)) this.#queuedBytes += bytes;
    else {
      this.address?.budgets.queuedBytes?.release(bytes);
      throw new ChatError('busy');
    }
  }

  #releaseQueuedBytes(bytes: number): void {
    if (bytes === 0) return;
    this.#queuedBytes -= bytes;
    this.address?.budgets.queuedBytes?.release(bytes);
    this.#nodeQueuedBytes.release(bytes);
  }

  /** Consecutive batches with the same key share what they read. */
  #startBatch(batchKey: string | undefined): void {
    if (batchKey !== undefined && batchKey === this.#lastBatchKey) this.#factsCache?.startNextBatch();
    else this.#factsCache = undefined;
    this.#lastBatchKey = batchKey;
  }
}

function batchLength(queue: QueuedTask[]): number {
  const { batchKey } = queue[0] as QueuedTask;
  if (batchKey === undefined) return 1;
  const end = queue.findIndex((queued, index) => queued.batchKey !== batchKey || index === MAX_BATCH_SIZE);
  return end === -1 ? queue.length : end;
}

/** Takes tokens from the bucket, which is created on first use. Throws the error that refuses them. */
function takeTokens(bucket: TokenBucket | undefined, rate: RateLimit | undefined, tokens = 1): TokenBucket | undefined {
  if (!rate) return undefined;
  const existing = bucket ?? new TokenBucket(rate);
  existing.takeOrThrow(tokens);
  return existing;
}

/** Approximate memory of a queued request beside its payload. */
const QUEUED_TASK_OVERHEAD_BYTES = 512;
const VALUE_BYTES = 16;

/** Approximate memory of a payload. It was validated, so it is not deep. */
function estimateMemoryBytes(payload: unknown): number {
  if (typeof payload === 'string') return VALUE_BYTES + 2 * payload.length;
  if (typeof payload !== 'object' || payload === null) return VALUE_BYTES;
  return Object.values(payload).reduce((sum: number, value) => sum + estimateMemoryBytes(value), 2 * VALUE_BYTES);
}
