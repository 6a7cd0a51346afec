/** The Redis store: implements the store contract on Redis, Sentinel or Cluster. */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type AppendNotice,
  type AppendReceipt,
  type AppendRequest,
  type AppendResult,
  type Durability,
  type Json,
  type KeyState,
  type Listener,
  nextEpoch,
  type Page,
  type PageQuery,
  pageByteLimit,
  type ReadQuery,
  type RoomChunk,
  type RoomFacts,
  type Store,
  StoreError,
  type Ticket,
  type Usage,
} from '../contract.ts';
import { Subscriptions } from '../subscriptions.ts';
import { AppendQueue } from './append-queue.ts';
import { ChannelSubscriber } from './channel-subscriber.ts';
import { type ChannelMessage, decodeNotice, decodePage, decodeReceipt } from './codec.ts';
import type { RedisContext } from './context.ts';
import { type DurabilityLevel, resolveDurability } from './durability.ts';
import { KeyNames, type RoomKeyNames } from './key-names.ts';
import { LeaseIndex } from './lease-index.ts';
import { readFacts } from './read-facts.ts';
import { RecentWrites } from './recent-writes.ts';
import { RedisClient } from './redis-client.ts';
import type { ConnectionSession, ConnectOptions, Reply } from './redis-connection.ts';
import { parsePrefix, parseRedisUrl } from './redis-url.ts';
import { ReplicationAcks } from './replication-acks.ts';
import { RoomIndex } from './room-index.ts';
import { decodeKeys, RoomTransfer } from './room-transfer.ts';
import { type Script, scripts } from './scripts.ts';
import { inspectServers, isAtLeast, type ServerInfo, usedMemory } from './server-info.ts';
import { TicketIndex } from './ticket-index.ts';

/** Rooms that are notified of a possible gap at a time, so that they do not all read at once. */
const GAP_BATCH_ROOMS = 200;
const GAP_BATCH_INTERVAL_MS = 20;
const RETRY_DELAY_MS = 1_000;
/** How long an append waits for its hints, in milliseconds. */
const HINT_DEADLINE_MS = 500;
/** Allowance for clock skew between servers and for lost notifications. */
const MAX_CLOCK_SKEW_MS = 90_000;
/** Entries, and keys below them, that one call of the script trims. */
const MAX_TRIM_ROWS = 500;

export { describeServer, mayEvictKeys, warningsOf } from './server-info.ts';

export type RedisDurability = DurabilityLevel['durability'];

export interface RedisOptions {
  url: string;
  /** Prefix of all keys and channels, unless the URL has one. */
  prefix?: string;
  durability?: RedisDurability;
  /** CA certificates to trust in addition to those of Node. */
  ca?: string;
  /** For tests. */
  clock?: () => number;
  onError?: (error: unknown) => void;
}

export interface RedisStore extends Store {
  /** The kind of Redis, and which of its settings may lose data. */
  readonly serverInfo: ServerInfo;
}

/** Opens the Redis store; see key-names.ts for its data. Rejects if there is no Redis, or it cannot be used. */
export async function openRedis({
  url,
  prefix = 'engawa',
  durability = 'fast',
  ca,
  clock,
  onError = () => undefined,
}: RedisOptions): Promise<RedisStore> {
  const target = parseRedisUrl(url);
  const connectOptions: ConnectOptions = { target, ca, onError };
  const redis = await RedisClient.open(connectOptions);
  try {
    const serverInfo = await inspectServers(redis, connectOptions);
    const level = resolveDurability(durability, serverInfo);
    const keys = new KeyNames(target.prefix ?? parsePrefix(prefix));
    const isSharded = redis.isCluster && isAtLeast(serverInfo.version, 7, 0);
    await checkPermissions(redis, keys, isSharded);
    const writeRedis = level.ackCommand ? await RedisClient.open(connectOptions) : redis;
    return new Redis({
      redis,
      writeRedis,
      connectOptions,
      keys,
      isSharded,
      serverInfo,
      level,
      now: () => (clock ? String(clock()) : ''),
    });
  } catch (error) {
    await redis.close();
    throw error;
  }
}

/** Checks permissions now: otherwise a missing one would be detected in the middle of an append, when a part of it is written. */
async function checkPermissions(redis: RedisClient, keys: KeyNames, isSharded: boolean): Promise<void> {
  const { partition, nodeExpiries } = keys.globalKeys;
  await redis.runScript(scripts.isNodeGone, { partition, keys: [nodeExpiries], args: ['0', ''], isRepeatable: true });
  await redis.send(partition, [isSharded ? 'SPUBLISH' : 'PUBLISH', keys.globalKeys.probeChannel, '']);
}

interface RedisParts {
  redis: RedisClient;
  writeRedis: RedisClient;
  connectOptions: ConnectOptions;
  keys: KeyNames;
  /** Channels are on the server that has their partition. */
  isSharded: boolean;
  serverInfo: ServerInfo;
  level: DurabilityLevel;
  now: () => string;
}

class Redis implements RedisStore {
  readonly serverInfo: ServerInfo;
  readonly durability: Durability;
  readonly maxClockSkewUs = MAX_CLOCK_SKEW_MS * 1000;
  readonly #redis: RedisClient;
  readonly #writeRedis: RedisClient;
  readonly #keys: KeyNames;
  readonly #context: RedisContext;
  readonly #now: () => string;
  readonly #onError: (error: unknown) => void;
  readonly #publish: 'PUBLISH' | 'SPUBLISH';
  readonly #publisher = randomUUID();
  /** The beginning of messages that this node publishes. */
  readonly #ownPrefix = `[${JSON.stringify(this.#publisher)},`;
  readonly #subscriptions = new Subscriptions();
  readonly #subscriber: ChannelSubscriber;
  readonly #recentWrites = new RecentWrites();
  readonly #appendQueue: AppendQueue;
  readonly #roomIndex: RoomIndex;
  readonly #leaseIndex: LeaseIndex;
  readonly #ticketIndex: TicketIndex;
  readonly #roomTransfer: RoomTransfer;
  /** The room of every subscribed channel. */
  readonly #roomByChannel = new Map<string, string>();
  readonly #roomsWithGap = new Set<string>();
  #gapTimer: NodeJS.Timeout | undefined;
  /**
   * Milliseconds from the time of an entry, by the clock of Redis, until this node received it: the minimum so far, and the last.
   */
  #delay = { min: Infinity, last: 0 };
  /** Writes beside the logs may have been lost. */
  #needsRewrite = false;
  #isRewriting = false;
  #isOpen = true;
  #secret: string | undefined;
  /** Whether the last write failed: the best prediction for the next one. */
  #hasFailed = false;

  constructor({ redis, writeRedis, connectOptions, keys, isSharded, serverInfo, level, now }: RedisParts) {
    this.#redis = redis;
    this.#writeRedis = writeRedis;
    this.#keys = keys;
    this.#now = now;
    this.#onError = connectOptions.onError;
    this.serverInfo = serverInfo;
    this.durability = level.durability;
    this.#publish = isSharded ? 'SPUBLISH' : 'PUBLISH';
    const context = { redis, keys, now };
    this.#context = context;
    this.#roomIndex = new RoomIndex(context);
    this.#leaseIndex = new LeaseIndex(context, this.#recentWrites);
    this.#ticketIndex = new TicketIndex(context);
    this.#roomTransfer = new RoomTransfer(context, { leases: this.#leaseIndex, tickets: this.#ticketIndex, rooms: this.#roomIndex });
    redis.onTopologyChange(() => this.#scheduleRewrite());
    this.#subscriber = new ChannelSubscriber({
      redis,
      connectOptions,
      isSharded,
      onMessage: (channel, message) => this.#onMessage(channel, message),
      onGap: (channels) => this.#reportGap(channels.flatMap((channel) => this.#roomByChannel.get(channel) ?? [])),
    });
    this.#appendQueue = new AppendQueue({
      ...context,
      writeRedis,
      acks: replicationAcksFor(level),
      publish: this.#publish,
      publisher: this.#publisher,
      writeHints: (room, request) => this.#writeHints(room, request),
      notifySubscribers: (room, notice) => {
        if (notice.ended) this.#roomIndex.removeStale([room]).catch(this.#onError);
        else if (notice.entries[0]?.seq === 1) this.#roomIndex.add([room]).catch(this.#onError);
        this.#subscriptions.notifyAppend(room, notice);
      },
      onGap: (room) => this.#reportGap([room]),
      onTicketsRemoved: (room, fields) => void this.#ticketIndex.remove(room, fields).catch(this.#onError),
      onSettled: (error) => (this.#hasFailed = error !== undefined),
    });
  }

  get isWritable(): boolean {
    return this.#isOpen && !this.#hasFailed && this.#redis.isReady;
  }

  get notifyLagMs(): number {
    return Math.max(this.#delay.last - this.#delay.min, 0);
  }

  async append(room: string, request: AppendRequest): Promise<AppendResult> {
    this.#assertOpen();
    return this.#appendQueue.append(room, request);
  }

  async read(room: string, query: ReadQuery): Promise<RoomFacts> {
    this.#assertOpen();
    return readFacts(this.#context, room, query);
  }

  async findByIdempotencyKey(room: string, idempotencyKey: string): Promise<AppendReceipt | null> {
    const reply = await this.#runRoomScript(room, scripts.findByIdempotencyKey, ['room', 'log', 'idempotencyKeys'], [idempotencyKey]);
    if (reply === null) return null;
    await this.#appendQueue.confirmDurability(room);
    return decodeReceipt(reply as Reply[]);
  }

  async readPage(room: string, query: PageQuery): Promise<Page> {
    const { before, after, listed = false, limit } = query;
    const from = after === undefined ? Math.min(before ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) - 1 : after + 1;
    const args = [
      this.#now(),
      after === undefined ? 'down' : 'up',
      String(from),
      listed ? '1' : '0',
      String(limit),
      String(pageByteLimit(query)),
    ];
    const page = decodePage((await this.#runRoomScript(room, scripts.readPage, ['room', 'log', 'listed'], args)) as Reply[]);
    return after === undefined ? { ...page, entries: page.entries.reverse() } : page;
  }

  async listKeys(room: string, family: string, { after, limit }: { after?: string; limit: number }) {
    const prefix = `${family}/\0`;
    const args = [after === undefined ? `[${prefix}` : `(${prefix}${after}`, `(${family}/\u0001`, String(limit + 1)];
    const rows = (await this.#runRoomScript(room, scripts.listKeys, ['keys', 'sortedKeys', 'marks', 'leases'], args)) as Reply[];
    const keys = decodeKeys(rows).map(([key, value]): [string, KeyState] => [key.slice(family.length + 1), value]);
    return { keys: keys.slice(0, limit), hasMore: keys.length > limit };
  }

  async listRooms(query: Parameters<Store['listRooms']>[0]) {
    this.#assertOpen();
    return this.#roomIndex.list(query);
  }

  async secret(): Promise<string> {
    this.#assertOpen();
    this.#secret ??= await this.#shareSecret(randomBytes(32).toString('base64url'));
    return this.#secret;
  }

  /** Stores the secret unless there is one, and returns the stored one. */
  async #shareSecret(secret: string): Promise<string> {
    const { partition, secret: key } = this.#keys.globalKeys;
    await this.#redis.send(partition, ['SET', key, secret, 'NX']);
    return String(await this.#redis.send(partition, ['GET', key]));
  }

  async usage(): Promise<Usage> {
    this.#assertOpen();
    const [rooms, bytes] = await Promise.all([this.#roomIndex.count(), usedMemory(this.#redis)]);
    return { rooms, bytes };
  }

  async subscribe(room: string, listener: Listener): Promise<() => void> {
    this.#assertOpen();
    const { channel, partition } = this.#keys.room(room);
    const stop = this.#subscriptions.add(room, listener);
    const unsubscribe = () => {
      stop();
      if (this.#subscriptions.has(room)) return;
      this.#roomByChannel.delete(channel);
      this.#subscriber.unsubscribe(channel);
    };
    this.#roomByChannel.set(channel, room);
    try {
      await this.#subscriber.subscribe(channel, partition);
    } catch (error) {
      unsubscribe();
      throw error;
    }
    return unsubscribe;
  }

  async publish(room: string, message: Json): Promise<void> {
    this.#assertOpen();
    this.#subscriptions.notifyPublish(room, structuredClone(message));
    const { channel, partition } = this.#keys.room(room);
    const text = JSON.stringify([this.#publisher, null, message] satisfies ChannelMessage);
    this.#redis.sendAndForget(partition, [this.#publish, channel, text]);
  }

  async advanceMark(room: string, key: string, seq: number): Promise<number | null> {
    const mark = await this.#runRoomScript(room, scripts.advanceMark, ['keys', 'marks'], [key, String(seq)]);
    return mark === null ? null : Number(mark);
  }

  async startNewEpoch(room: string, epoch: string): Promise<string | null> {
    return (await this.#runRoomScript(room, scripts.newEpoch, ['room'], [epoch, nextEpoch(epoch)])) as string | null;
  }

  async trim(room: string, { epoch, below }: { epoch: string; below: number }): Promise<void> {
    await this.#appendQueue.waitForRoom(room);
    const args = [room, epoch, String(below), String(MAX_TRIM_ROWS)];
    let hasMore: Reply = 1;
    while (hasMore === 1)
      hasMore = await this.#runRoomScript(
        room,
        scripts.trim,
        ['room', 'log', 'listed', 'keys', 'sortedKeys', 'marks', 'leases', 'nodeLeasesPrefix'],
        args,
      );
  }

  async listTickets(holder: string, limit: number): Promise<Ticket[]> {
    this.#assertOpen();
    return this.#ticketIndex.list(holder, limit);
  }

  async heartbeat(node: string, ttl: number): Promise<void> {
    this.#assertOpen();
    if (await this.#leaseIndex.heartbeat(node, ttl)) this.#scheduleRewrite();
    // A node that only sends heartbeats learns here that writes work again.
    this.#hasFailed = false;
  }

  async acquireLease(room: string, key: { name: string; seq: number }, node: string): Promise<boolean> {
    this.#assertOpen();
    return this.#leaseIndex.acquireLease(room, key, node);
  }

  async releaseLease(room: string, key: string, node: string, ttl: number): Promise<void> {
    this.#assertOpen();
    await this.#leaseIndex.releaseLease(room, key, node, ttl);
  }

  async expireLease(room: string, key: string, ttl: number): Promise<boolean> {
    this.#assertOpen();
    return this.#leaseIndex.expireLease(room, key, ttl);
  }

  async listExpiredLeases(limit: number): Promise<{ room: string; key: string }[]> {
    this.#assertOpen();
    return this.#leaseIndex.listExpiredLeases(limit);
  }

  async exportChunk(room: string, next: string | null): Promise<RoomChunk | null> {
    this.#assertOpen();
    return this.#roomTransfer.exportChunk(room, next);
  }

  async importChunk(chunk: RoomChunk): Promise<void> {
    this.#assertOpen();
    await this.#roomTransfer.importChunk(chunk);
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#gapTimer);
    await this.#appendQueue.drain();
    await Promise.all([this.#redis.close(), this.#writeRedis.close()]);
    this.#subscriber.close();
  }

  async #runRoomScript(room: string, script: Script, kinds: (keyof RoomKeyNames)[], args: string[]): Promise<Reply> {
    this.#assertOpen();
    const keys = this.#keys.room(room);
    const names = kinds.flatMap((kind) => keys[kind] as string | string[]);
    return this.#redis.runScript(script, { partition: keys.partition, keys: names, args, isRepeatable: true });
  }

  /**
   * Hints are written before the data that they refer to (see room-index.ts, lease-index.ts, ticket-index.ts). But they are on
   * another server: if it is slow, the append does not wait for long, and the hints are written later.
   */
  #writeHints(room: string, { drafts, epoch, requiredExpiredLease }: AppendRequest): Promise<string | undefined> | undefined {
    const hints: Promise<unknown>[] = [];
    if (epoch === null) hints.push(this.#recentWrites.run(room, async () => this.#roomIndex.add([room])));
    for (const { lease, tickets = [] } of drafts) {
      if (lease) hints.push(this.#leaseIndex.prepareLease(room, lease));
      for (const { holder, key, value } of tickets) if (value !== null) hints.push(this.#addTicketHint(holder, [room, key]));
    }
    if (hints.length === 0 && requiredExpiredLease === undefined) return undefined;
    const goneNode = requiredExpiredLease === undefined ? undefined : this.#leaseIndex.findGoneHolder(room, requiredExpiredLease);
    return this.#withDeadline(Promise.all([goneNode, ...hints]).then(([node]) => node));
  }

  async #withDeadline<Result>(work: Promise<Result>): Promise<Result | undefined> {
    const isInTime = await Promise.race([work.then(() => true), pause(HINT_DEADLINE_MS, false, { ref: false })]);
    if (isInTime) return work;
    work.catch(() => this.#scheduleRewrite());
    return undefined;
  }

  async #addTicketHint(holder: string, location: [room: string, key: string]): Promise<void> {
    await this.#recentWrites.run([holder, ...location].join('\0'), async () => this.#ticketIndex.add(holder, [location]));
  }

  /** Writes again what a failover, a restart or an operator may have removed beside the logs, until that succeeds. */
  #scheduleRewrite(): void {
    this.#needsRewrite = true;
    if (!this.#isRewriting) void this.#rewriteHints();
  }

  async #rewriteHints(): Promise<void> {
    this.#isRewriting = true;
    while (this.#needsRewrite && this.#isOpen) {
      this.#needsRewrite = false;
      try {
        await Promise.all([
          this.#roomIndex.add([...this.#roomByChannel.values()]),
          this.#leaseIndex.rewritePartitions(),
          this.#recentWrites.replay(),
          this.#secret && this.#shareSecret(this.#secret),
        ]);
      } catch (error) {
        this.#onError(error);
        this.#needsRewrite = true;
        await pause(RETRY_DELAY_MS, undefined, { ref: false });
      }
    }
    this.#isRewriting = false;
  }

  #onMessage(channel: string, message: string): void {
    const room = this.#roomByChannel.get(channel);
    // Own appends were notified when Redis replied.
    if (room === undefined || message.startsWith(this.#ownPrefix)) return;
    try {
      this.#deliver(room, JSON.parse(message) as ChannelMessage);
    } catch (error) {
      // Another version may send messages that are unknown here; the data are in the log anyway.
      this.#onError(error);
      this.#reportGap([room]);
    }
  }

  #deliver(room: string, [, notices, published]: ChannelMessage): void {
    if (notices === null) this.#subscriptions.notifyPublish(room, published ?? null);
    else if (notices.length === 0) this.#subscriptions.notifyGap(room);
    else for (const each of notices) this.#notifyRemoteAppend(room, decodeNotice(each));
  }

  #notifyRemoteAppend(room: string, notice: AppendNotice): void {
    const delay = Date.now() - (notice.entries.at(-1)?.at ?? 0);
    this.#delay = { min: Math.min(this.#delay.min, delay), last: delay };
    this.#appendQueue.observeHlc(notice);
    this.#subscriptions.notifyAppend(room, notice);
  }

  #reportGap(rooms: string[]): void {
    for (const room of rooms) this.#roomsWithGap.add(room);
    this.#gapTimer ??= setTimeout(() => this.#flushGaps(), 0);
  }

  #flushGaps(): void {
    const rooms = [...this.#roomsWithGap].slice(0, GAP_BATCH_ROOMS);
    for (const room of rooms) {
      this.#roomsWithGap.delete(room);
      this.#subscriptions.notifyGap(room);
    }
    this.#gapTimer = this.#roomsWithGap.size > 0 && this.#isOpen ? setTimeout(() => this.#flushGaps(), GAP_BATCH_INTERVAL_MS) : undefined;
  }

  #assertOpen(): void {
    if (!this.#isOpen) throw new StoreError('closed', 'The store is closed.');
  }
}

function replicationAcksFor({ ackCommand, isDurable }: DurabilityLevel) {
  if (!ackCommand) return undefined;
  const acks = new ReplicationAcks(ackCommand);
  return { request: (session: ConnectionSession) => acks.request(session), isDurable };
}
