/** Queue of appends for each room; sends each batch to Redis in one script call. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type AppendNotice, type AppendRequest, type AppendResult, StoreError } from '../contract.ts';
import { type ChannelMessage, decodeReceipt, encodeAppend, encodeName, encodeNotice, GONE_NODE_ARGUMENT, noticeOfReply } from './codec.ts';
import type { RedisContext } from './context.ts';
import type { RoomKeyNames } from './key-names.ts';
import type { RedisClient } from './redis-client.ts';
import type { ConnectionSession, Reply } from './redis-connection.ts';
import type { ReplicationAcks } from './replication-acks.ts';
import { scripts } from './scripts.ts';

/** Appends of one script call: Redis serves no other client meanwhile. */
const MAX_BATCH_APPENDS = 100;
const MAX_BATCH_BYTES = 1024 * 1024;
/** Appends that may be queued before `busy`. */
const MAX_PENDING_APPENDS = 50_000;
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** How long an append with an idempotency key is retried if its reply was lost, or it could not be confirmed. */
const RETRY_WINDOW_MS = 15_000;
const RETRY_DELAY_MS = 50;

interface PendingAppend {
  request: AppendRequest;
  args: string[];
  bytes: number;
  /** Resolves when the index hints of this append are written, if there are any. */
  hintsWritten: Promise<void> | undefined;
  since: number;
  resolve: (result: AppendResult) => void;
  reject: (error: unknown) => void;
}

interface AppendQueueOptions extends RedisContext {
  /** The connections for writes: the same as for reads, unless writes must be confirmed. */
  writeRedis: RedisClient;
  /** Checks whether a write is as durable as required. Undefined if it is once the script has replied. */
  acks: { request: ReplicationAcks['request']; isDurable: (reply: Reply) => boolean } | undefined;
  /** The publish command, and the id of this publisher. */
  publish: 'PUBLISH' | 'SPUBLISH';
  publisher: string;
  /**
   * Called before an append is sent; undefined if there are no hints to write. Resolves with the gone node whose lease must have
   * expired, if any.
   */
  writeHints: (room: string, request: AppendRequest) => Promise<string | undefined> | undefined;
  /** Called before the append resolves. */
  notifySubscribers: (room: string, notice: AppendNotice) => void;
  /** Entries may have been appended without a notification. */
  onGap: (room: string) => void;
  onTicketsRemoved: (room: string, fields: string[]) => void;
  onSettled: (error: StoreError | undefined) => void;
}

/**
 * Batches appends by room: while one script call of a room is running, its next appends collect, and are sent together. So
 * appends keep the order of the calls, and batches grow with the load.
 */
export class AppendQueue {
  readonly #options: AppendQueueOptions;
  readonly #rooms = new Map<string, PendingAppend[]>();
  /** The newest append of each room with pending appends. */
  readonly #newestAppends = new Map<string, Promise<unknown>>();
  #pendingCount = 0;
  #pendingBytes = 0;
  #minHlc = 0;
  #onDrained: (() => void) | undefined;

  constructor(options: AppendQueueOptions) {
    this.#options = options;
  }

  /** Call this for every notice: entries of this node must get larger HLC values than those that were published here. */
  observeHlc({ entries }: AppendNotice): void {
    this.#minHlc = Math.max(this.#minHlc, entries.at(-1)?.hlc ?? 0);
  }

  append(room: string, request: AppendRequest): Promise<AppendResult> {
    const args = encodeAppend(request);
    const bytes = args.reduce((sum, arg) => sum + arg.length, 500);
    if (this.#pendingCount >= MAX_PENDING_APPENDS || this.#pendingBytes + bytes > MAX_PENDING_BYTES)
      throw new StoreError('busy', 'Too many operations are queued for Redis.');
    this.#pendingCount += 1;
    this.#pendingBytes += bytes;
    const hintsWritten = this.#options.writeHints(room, request)?.then((goneNode) => {
      if (goneNode !== undefined) args[GONE_NODE_ARGUMENT] = encodeName(goneNode);
    });
    // The error is handled when this append is sent.
    hintsWritten?.catch(() => undefined);
    const result = new Promise<AppendResult>((resolve, reject) => {
      const pending: PendingAppend = { request, args, bytes, hintsWritten, since: performance.now(), resolve, reject };
      const queue = this.#rooms.get(room);
      if (queue) queue.push(pending);
      else void this.#processQueue(room, [pending]);
    });
    this.#newestAppends.set(room, result);
    return result;
  }

  /** Resolves once the pending appends of the room are done. */
  async waitForRoom(room: string): Promise<void> {
    await this.#newestAppends.get(room)?.catch(() => undefined);
  }

  /** Resolves once all entries of the room are as durable as required. */
  async confirmDurability(room: string): Promise<void> {
    if (!this.#options.acks) return;
    // An empty batch still writes a little, so that the confirmation covers the earlier writes.
    const { session } = await this.#runScript(room, this.#options.keys.room(room), []);
    await this.#confirmSession(session);
  }

  /** Resolves once nothing is pending. */
  async drain(): Promise<void> {
    if (this.#rooms.size > 0) await new Promise<void>((resolve) => (this.#onDrained = resolve));
  }

  async #processQueue(room: string, queue: PendingAppend[]): Promise<void> {
    this.#rooms.set(room, queue);
    const keys = this.#options.keys.room(room);
    while (queue.length > 0) {
      const batch = takeBatch(queue);
      const retries = await this.#applyBatch(room, keys, batch);
      for (const { bytes } of batch) this.#pendingBytes -= bytes;
      this.#pendingCount -= batch.length;
      if (retries.length === 0) continue;
      for (const { bytes } of retries) this.#pendingBytes += bytes;
      this.#pendingCount += retries.length;
      queue.unshift(...retries);
      await pause(RETRY_DELAY_MS);
    }
    this.#rooms.delete(room);
    this.#newestAppends.delete(room);
    if (this.#rooms.size === 0) this.#onDrained?.();
  }

  /** Resolves with the appends that must be retried. */
  async #applyBatch(room: string, keys: RoomKeyNames, batch: PendingAppend[]): Promise<PendingAppend[]> {
    const ready = await waitForHints(batch);
    if (ready.length === 0) return [];
    try {
      const { replies, session } = await this.#runScript(room, keys, ready);
      await this.#confirmSession(session);
      this.#settleBatch(room, keys, ready, replies);
      this.#options.onSettled(undefined);
      return [];
    } catch (error) {
      const storeError =
        error instanceof StoreError ? error : new StoreError('failed', 'Redis sent a reply that cannot be decoded.', error);
      this.#options.onSettled(storeError);
      return this.#handleFailure(room, ready, storeError);
    }
  }

  async #runScript(room: string, keys: RoomKeyNames, batch: PendingAppend[]): Promise<{ replies: Reply[]; session: ConnectionSession }> {
    const { writeRedis, now, publish, publisher, acks } = this.#options;
    const publishCommand = acks ? '' : publish;
    const { reply, session } = await writeRedis.runScriptOnSession(scripts.append, {
      partition: keys.partition,
      keys: [
        keys.room,
        keys.log,
        keys.listed,
        keys.keys,
        keys.sortedKeys,
        keys.marks,
        keys.leases,
        keys.tickets,
        keys.ticketExpiries,
        ...keys.idempotencyKeys,
        keys.nodeLeasesPrefix,
        keys.channel,
      ],
      args: [now(), String(this.#minHlc), publishCommand, JSON.stringify(publisher), room, ...batch.flatMap(({ args }) => args)],
      // It must not be sent twice unchanged (see `withNewEntryIds`).
      isRepeatable: false,
    });
    return { replies: reply as Reply[], session };
  }

  async #confirmSession(session: ConnectionSession): Promise<void> {
    const { acks } = this.#options;
    if (!acks) return;
    const reply = await acks.request(session).catch((error: unknown) => {
      throw new StoreError('outcome_unknown', 'Redis could not confirm that the write is durable.', error);
    });
    if (!acks.isDurable(reply))
      throw new StoreError('outcome_unknown', `The write is not as durable as required (${JSON.stringify(reply)}).`);
  }

  #settleBatch(room: string, keys: RoomKeyNames, batch: PendingAppend[], replies: Reply[]): void {
    const { notifySubscribers, onTicketsRemoved, writeRedis, publish, publisher, acks } = this.#options;
    const notices: AppendNotice[] = [];
    for (const [index, { request, resolve }] of batch.entries()) {
      const reply = replies[index];
      if (!Array.isArray(reply)) {
        resolve({ outcome: 'stale' });
        continue;
      }
      const [kind, ...rest] = reply;
      if (kind === 2) {
        resolve({ outcome: 'repeated', ...decodeReceipt(rest) });
        continue;
      }
      const notice = noticeOfReply(request.drafts, rest);
      notices.push(notice);
      this.observeHlc(notice);
      notifySubscribers(room, notice);
      resolve({ outcome: 'appended', epoch: notice.epoch, entries: notice.entries.map(({ seq, id, at }) => ({ seq, id, at })) });
    }
    if (acks) {
      // If an earlier attempt appended the entries, no listener was notified: an empty notice makes listeners read the log.
      const message = JSON.stringify([publisher, notices.map(encodeNotice)] satisfies ChannelMessage);
      writeRedis.sendAndForget(keys.partition, [publish, keys.channel, message]);
      if (notices.length < batch.length) this.#options.onGap(room);
    }
    const fields = replies.at(-1) as string[];
    if (fields.length > 0) onTicketsRemoved(room, fields);
  }

  /** An append with an idempotency key may be retried without a duplicate; the outcome of the others is unknown. */
  #handleFailure(room: string, batch: PendingAppend[], error: StoreError): PendingAppend[] {
    if (error.reason === 'outcome_unknown') this.#options.onGap(room);
    const canRetry = ({ request, since }: PendingAppend) =>
      error.reason === 'outcome_unknown' && request.idempotencyKey !== undefined && performance.now() - since < RETRY_WINDOW_MS;
    for (const pending of batch) if (!canRetry(pending)) pending.reject(error);
    return batch.filter(canRetry).map(withNewEntryIds);
  }
}

/**
 * The entries get new ids for a retry. If the first ones were published and then lost by a failover, others take their places;
 * readers of the first ones detect that by the ids.
 */
function withNewEntryIds(pending: PendingAppend): PendingAppend {
  const request = { ...pending.request, drafts: pending.request.drafts.map((draft) => ({ ...draft, id: randomUUID() })) };
  const args = encodeAppend(request);
  if (request.requiredExpiredLease !== undefined) args[GONE_NODE_ARGUMENT] = pending.args[GONE_NODE_ARGUMENT] ?? '';
  return { ...pending, request, args };
}

/** The appends whose hints are written; the others are refused. */
async function waitForHints(batch: PendingAppend[]): Promise<PendingAppend[]> {
  if (batch.every(({ hintsWritten }) => hintsWritten === undefined)) return batch;
  const settled = await Promise.allSettled(batch.map(({ hintsWritten }) => hintsWritten ?? Promise.resolve()));
  return batch.filter(({ reject }, index) => {
    const each = settled[index] as PromiseSettledResult<void>;
    if (each.status === 'rejected') reject(each.reason);
    return each.status === 'fulfilled';
  });
}

function takeBatch(queue: PendingAppend[]): PendingAppend[] {
  let bytes = 0;
  let count = 0;
  for (const pending of queue) {
    bytes += pending.bytes;
    if (count > 0 && (count === MAX_BATCH_APPENDS || bytes > MAX_BATCH_BYTES)) break;
    count += 1;
  }
  return queue.splice(0, count);
}
