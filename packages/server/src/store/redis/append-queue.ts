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

/** What one call of the script does at most: nobody else is served meanwhile. */
const MAX_BATCH_APPENDS = 100;
const MAX_BATCH_BYTES = 1024 * 1024;
/** What may wait before `busy`. */
const MAX_PENDING_APPENDS = 50_000;
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** How long a named append is tried again whose answer was lost, or which could not be confirmed. */
const RETRY_WINDOW_MS = 15_000;
const RETRY_DELAY_MS = 50;

interface PendingAppend {
  request: AppendRequest;
  args: string[];
  bytes: number;
  /** What must be written down elsewhere before, if anything. */
  hintsWritten: Promise<void> | undefined;
  since: number;
  resolve: (result: AppendResult) => void;
  reject: (error: unknown) => void;
}

interface AppendQueueOptions extends RedisContext {
  /** The connections that writes go on: the same as for reading, unless writes have to be confirmed. */
  writeRedis: RedisClient;
  /** Whether what was written is as durable as it must be; without, it is when the script has answered. */
  acks: { request: ReplicationAcks['request']; isDurable: (reply: Reply) => boolean } | undefined;
  /** How news go out: the command, and from whom. */
  publish: 'PUBLISH' | 'SPUBLISH';
  publisher: string;
  /** Before an append is asked, if there is anything to do. Answers the node of the lease that must have run out, if that is gone. */
  writeHints: (room: string, request: AppendRequest) => Promise<string | undefined> | undefined;
  /** Before it resolves. */
  notifySubscribers: (room: string, notice: AppendNotice) => void;
  /** Something was kept perhaps, of which nobody was told. */
  onGap: (room: string) => void;
  onTicketsRemoved: (room: string, fields: string[]) => void;
  onSettled: (error: StoreError | undefined) => void;
}

/**
 * Appends, room by room: while one call is under way the next ones of its room gather, and go in one. So they are kept in
 * the order in which they were asked, and batches grow with the load by themselves.
 */
export class AppendQueue {
  readonly #options: AppendQueueOptions;
  readonly #rooms = new Map<string, PendingAppend[]>();
  /** The newest append of each room of those. */
  readonly #newestAppends = new Map<string, Promise<unknown>>();
  #pendingCount = 0;
  #pendingBytes = 0;
  #minHlc = 0;
  #onDrained: (() => void) | undefined;

  constructor(options: AppendQueueOptions) {
    this.#options = options;
  }

  /** No entry of ours gets a smaller tick than one that was told here. */
  observeHlc({ entries }: AppendNotice): void {
    this.#minHlc = Math.max(this.#minHlc, entries.at(-1)?.hlc ?? 0);
  }

  append(room: string, request: AppendRequest): Promise<AppendResult> {
    const args = encodeAppend(request);
    const bytes = args.reduce((sum, arg) => sum + arg.length, 500);
    if (this.#pendingCount >= MAX_PENDING_APPENDS || this.#pendingBytes + bytes > MAX_PENDING_BYTES)
      throw new StoreError('busy', 'As much as may wait for Redis is waiting.');
    this.#pendingCount += 1;
    this.#pendingBytes += bytes;
    const hintsWritten = this.#options.writeHints(room, request)?.then((goneNode) => {
      if (goneNode !== undefined) args[GONE_NODE_ARGUMENT] = encodeName(goneNode);
    });
    // It is looked at when its turn comes.
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

  /** Resolves once what was asked of the room before is done. */
  async waitForRoom(room: string): Promise<void> {
    await this.#newestAppends.get(room)?.catch(() => undefined);
  }

  /** Resolves once all that the room has is as safe as it must be. */
  async confirmDurability(room: string): Promise<void> {
    if (!this.#options.acks) return;
    // Of nothing it is the script that writes a little all the same: what was written before is as safe as that.
    const { session } = await this.#runScript(room, this.#options.keys.room(room), []);
    await this.#confirmSession(session);
  }

  /** Resolves once nothing waits. */
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

  /** Answers those that are to be asked once more. */
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
      const storeError = error instanceof StoreError ? error : new StoreError('failed', 'Redis answered what cannot be understood.', error);
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
      // It is not to be sent twice as it is (see `asAnother`).
      isRepeatable: false,
    });
    return { replies: reply as Reply[], session };
  }

  async #confirmSession(session: ConnectionSession): Promise<void> {
    const { acks } = this.#options;
    if (!acks) return;
    const reply = await acks.request(session).catch((error: unknown) => {
      throw new StoreError('unsure', 'Redis could not be asked whether it is safe.', error);
    });
    if (!acks.isDurable(reply)) throw new StoreError('unsure', `It is not as safe as it must be (${JSON.stringify(reply)}).`);
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
      // Of what was kept by an earlier try nobody was told: who hears that there is nothing new looks into the log.
      const message = JSON.stringify([publisher, notices.map(encodeNotice)] satisfies ChannelMessage);
      writeRedis.sendAndForget(keys.partition, [publish, keys.channel, message]);
      if (notices.length < batch.length) this.#options.onGap(room);
    }
    const fields = replies.at(-1) as string[];
    if (fields.length > 0) onTicketsRemoved(room, fields);
  }

  /** What has a name may be asked again, and is kept once; of the rest nobody can say. */
  #handleFailure(room: string, batch: PendingAppend[], error: StoreError): PendingAppend[] {
    if (error.reason === 'unsure') this.#options.onGap(room);
    const canRetry = ({ request, since }: PendingAppend) =>
      error.reason === 'unsure' && request.idempotencyKey !== undefined && performance.now() - since < RETRY_WINDOW_MS;
    for (const pending of batch) if (!canRetry(pending)) pending.reject(error);
    return batch.filter(canRetry).map(withNewEntryIds);
  }
}

/**
 * Its entries have other names when they are asked once more: if the first ones were kept and told, and then lost by a
 * failover, these are others in their place, and whoever has the first finds out.
 */
function withNewEntryIds(pending: PendingAppend): PendingAppend {
  const request = { ...pending.request, drafts: pending.request.drafts.map((draft) => ({ ...draft, id: randomUUID() })) };
  const args = encodeAppend(request);
  if (request.requiredExpiredLease !== undefined) args[GONE_NODE_ARGUMENT] = pending.args[GONE_NODE_ARGUMENT] ?? '';
  return { ...pending, request, args };
}

/** Those for which all is written down; the others are refused. */
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
