/** The embedded SQLite store: batches operations for the writer thread, and reads on the main thread. */
import { Worker } from 'node:worker_threads';
import {
  type AppendRequest,
  type AppendResult,
  type Draft,
  type Entry,
  type Json,
  type Listener,
  nextEpoch,
  type RoomChunk,
  type Store,
  StoreError,
} from '../contract.ts';
import { Subscriptions } from '../subscriptions.ts';
import { Reader } from './reader.ts';
import { openForReading } from './schema.ts';
import type {
  AppendedEntry,
  AppendOperation,
  AppendOperationResult,
  Batch,
  ImportOperation,
  Operation,
  OperationResult,
  WriterMessage,
  WriterReady,
} from './writer-messages.ts';

/** Operations of one transaction: few enough that this thread handles the results of one batch while the writer runs the next. */
const MAX_BATCH_OPERATIONS = 250;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** Operations that may be queued before `busy`. */
const MAX_PENDING_OPERATIONS = 50_000;
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** The writer's allocations live no longer than a batch. By default, V8 would let them grow to 48 MiB before it collects them. */
const WRITER_LIMITS = { maxYoungGenerationSizeMb: 6 };

const NO_DRAFTS: Draft[] = [];

interface PendingOperation {
  operation: Operation;
  bytes: number;
  /** Of an append. */
  drafts: Draft[];
  resolve: (result: OperationResult) => void;
  reject: (error: StoreError) => void;
}

/**
 * Opens the embedded store: one SQLite file in one directory, used by one process. All queued operations form one batch for the
 * writer thread: one transaction, one fsync, then the results. While a batch is written, the next one collects, so batches grow
 * with the load.
 */
export async function openEmbedded({ folder, clock = Date.now }: { folder: string; clock?: () => number }): Promise<EmbeddedStore> {
  const worker = new Worker(new URL('./writer-thread.js', import.meta.url), { workerData: { folder }, resourceLimits: WRITER_LIMITS });
  const opened = await new Promise<WriterMessage>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  if ('failed' in opened) throw new StoreError(opened.failed, opened.message);
  return new Embedded(worker, { folder, clock, wasRestored: (opened as WriterReady).wasRestored });
}

export interface EmbeddedStore extends Store {
  /** An older backup was restored since the store was last open: all rooms have new epochs, and clients are notified. */
  readonly wasRestored: boolean;
}

class Embedded implements EmbeddedStore {
  readonly durability = 'fsync';
  readonly maxClockSkewUs = 0;
  readonly notifyLagMs = 0;
  readonly wasRestored: boolean;
  readonly #worker: Worker;
  readonly #clock: () => number;
  readonly #database;
  readonly #reader: Reader;
  readonly #subscriptions = new Subscriptions();
  #pending: PendingOperation[] = [];
  #pendingBytes = 0;
  /** The batch that the writer is processing. */
  #inFlight: PendingOperation[] = [];
  #state: 'open' | 'closing' | 'closed' = 'open';
  /** Whether the last write failed: the best prediction for the next one. */
  #hasFailed = false;
  /** Number of rooms, cached: counting takes time proportional to it. */
  #roomCount: number;
  #writerError: StoreError | undefined;
  #onDrained: (() => void) | undefined;
  readonly #exited: Promise<unknown>;

  constructor(worker: Worker, { folder, clock, wasRestored }: { folder: string; clock: () => number; wasRestored: boolean }) {
    this.#worker = worker;
    this.wasRestored = wasRestored;
    this.#clock = clock;
    this.#database = openForReading(folder);
    this.#reader = new Reader(this.#database);
    this.#roomCount = this.#reader.countRooms();
    worker.on('message', (message: WriterMessage) => this.#settleBatch(message as OperationResult[]));
    worker.on('error', (error) => this.#onWriterError(error));
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
  }

  get isWritable(): boolean {
    return this.#state === 'open' && !this.#hasFailed;
  }

  append(room: string, request: AppendRequest): Promise<AppendResult> {
    return this.#enqueue(toAppendOperation(room, request), request.drafts) as Promise<AppendResult>;
  }

  async heartbeat(node: string, ttl: number): Promise<void> {
    await this.#enqueue({ do: 'heartbeat', node, ttl });
  }

  async acquireLease(room: string, key: { name: string; seq: number }, node: string): Promise<boolean> {
    return (await this.#enqueue({ do: 'acquireLease', room, key: key.name, seq: key.seq, node })) as boolean;
  }

  async releaseLease(room: string, key: string, node: string, ttl: number): Promise<void> {
    await this.#enqueue({ do: 'releaseLease', room, key, node, ttl });
  }

  async expireLease(room: string, key: string, ttl: number): Promise<boolean> {
    return (await this.#enqueue({ do: 'expireLease', room, key, ttl })) as boolean;
  }

  async advanceMark(room: string, key: string, seq: number): Promise<number | null> {
    return (await this.#enqueue({ do: 'advanceMark', room, key, seq })) as number | null;
  }

  async startNewEpoch(room: string, epoch: string): Promise<string | null> {
    return (await this.#enqueue({ do: 'startNewEpoch', room, epoch, newEpoch: nextEpoch(epoch) })) as string | null;
  }

  async trim(room: string, { epoch, below }: { epoch: string; below: number }): Promise<void> {
    let isDone = false;
    while (!isDone) isDone = (await this.#enqueue({ do: 'trim', room, epoch, below })) as boolean;
  }

  async importChunk(chunk: RoomChunk): Promise<void> {
    await this.#enqueue(toImportOperation(chunk));
  }

  read: Store['read'] = async (room, query) => this.#guardRead(() => this.#reader.read(room, query));
  findByIdempotencyKey: Store['findByIdempotencyKey'] = async (room, idempotencyKey) =>
    this.#guardRead(() => this.#reader.findByIdempotencyKey(room, idempotencyKey));
  readPage: Store['readPage'] = async (room, query) => this.#guardRead(() => this.#reader.readPage(room, query, this.#clock()));
  listKeys: Store['listKeys'] = async (room, family, query) => this.#guardRead(() => this.#reader.listKeys(room, family, query));
  listRooms: Store['listRooms'] = async (query) => this.#guardRead(() => this.#reader.listRooms(query));
  secret: Store['secret'] = async () => this.#guardRead(() => this.#reader.secret());
  usage: Store['usage'] = async () => this.#guardRead(() => ({ rooms: this.#roomCount, bytes: this.#reader.usedBytes() }));
  exportChunk: Store['exportChunk'] = async (room, next) => this.#guardRead(() => this.#reader.exportChunk(room, next));
  listTickets: Store['listTickets'] = async (holder, limit) =>
    this.#guardRead(() => this.#reader.listTickets(holder, this.#clock(), limit));
  listExpiredLeases: Store['listExpiredLeases'] = async (limit) =>
    this.#guardRead(() => this.#reader.listExpiredLeases(this.#clock(), limit));

  async subscribe(room: string, listener: Listener): Promise<() => void> {
    this.#assertOpen();
    return this.#subscriptions.add(room, listener);
  }

  async publish(room: string, message: Json): Promise<void> {
    this.#assertOpen();
    this.#subscriptions.notifyPublish(room, message);
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    if (this.#inFlight.length > 0 || this.#pending.length > 0) await new Promise<void>((resolve) => (this.#onDrained = resolve));
    this.#state = 'closed';
    this.#database.close();
    this.#worker.postMessage('close');
    await this.#exited;
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw new StoreError('closed', 'The store is closed.');
  }

  #guardRead<Result>(read: () => Result): Result {
    this.#assertOpen();
    try {
      return read();
    } catch (error) {
      throw new StoreError('failed', `The database cannot be read: ${(error as Error).message}`, error);
    }
  }

  #enqueue(operation: Operation, drafts: Draft[] = NO_DRAFTS): Promise<OperationResult> {
    const bytes = estimateBytes(operation);
    return new Promise((resolve, reject) => {
      if (this.#state !== 'open') return reject(new StoreError('closed', 'The store is closed.'));
      if (this.#writerError) return reject(this.#writerError);
      if (this.#pending.length >= MAX_PENDING_OPERATIONS || this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
        return reject(new StoreError('busy', 'Too many operations are queued for the disk.'));
      }
      this.#pending.push({ operation, bytes, drafts, resolve, reject });
      this.#pendingBytes += bytes;
      if (this.#inFlight.length === 0) this.#sendBatch();
    });
  }

  #sendBatch(): void {
    let bytes = 0;
    let count = 0;
    for (const pending of this.#pending) {
      if (count > 0 && (count === MAX_BATCH_OPERATIONS || bytes + pending.bytes > MAX_BATCH_BYTES)) break;
      bytes += pending.bytes;
      count += 1;
    }
    this.#inFlight = this.#pending.splice(0, count);
    this.#pendingBytes -= bytes;
    const batch: Batch = { now: this.#clock(), operations: this.#inFlight.map(({ operation }) => operation) };
    this.#worker.postMessage(batch);
  }

  #settleBatch(results: OperationResult[]): void {
    const batch = this.#inFlight;
    this.#inFlight = [];
    if (this.#pending.length > 0) this.#sendBatch();
    for (const [index, { operation, drafts, resolve, reject }] of batch.entries()) {
      const result = results[index];
      if (result === undefined || (typeof result === 'object' && result !== null && 'failed' in result)) {
        this.#hasFailed = true;
        reject(new StoreError(result?.failed ?? 'failed', `The database cannot be written: ${result?.message ?? 'no result'}`));
      } else {
        this.#hasFailed = false;
        this.#roomCount += roomCountChange(operation, result);
        if (operation.do === 'append') this.#notifySubscribers(operation.room, drafts, result as AppendOperationResult);
        resolve(result);
      }
    }
    if (this.#inFlight.length === 0) this.#onDrained?.();
  }

  /** The writer catches its own errors: this one means that it ran out of memory, or worse. Reads still work. */
  #onWriterError(error: Error): void {
    this.#hasFailed = true;
    const writerError = new StoreError('failed', `The writer thread has ended: ${error.message}`, error);
    this.#writerError = writerError;
    const unanswered = [...this.#inFlight, ...this.#pending];
    this.#inFlight = [];
    this.#pending = [];
    this.#pendingBytes = 0;
    for (const { reject } of unanswered) reject(writerError);
    this.#onDrained?.();
  }

  #notifySubscribers(room: string, drafts: Draft[], result: AppendOperationResult): void {
    if (result.outcome !== 'appended' || !this.#subscriptions.has(room)) return;
    const entries = drafts.map((draft, index) => toEntry(draft, result.entries[index] as AppendedEntry));
    this.#subscriptions.notifyAppend(room, { epoch: result.epoch, entries, ended: drafts.some((draft) => draft.endsRoom) });
  }
}

/** Change of the number of rooms by this operation. */
function roomCountChange(operation: Operation, result: OperationResult): number {
  if (operation.do === 'importChunk') return result === true ? 1 : 0;
  if (operation.do !== 'append' || (result as AppendOperationResult).outcome !== 'appended') return 0;
  return (operation.epoch === null ? 1 : 0) - (operation.drafts.some((draft) => draft.endsRoom) ? 1 : 0);
}

function toAppendOperation(room: string, request: AppendRequest): AppendOperation {
  return { ...request, do: 'append', room, drafts: request.drafts.map((draft) => ({ ...draft, body: JSON.stringify(draft.body) })) };
}

/** Approximate memory of a queued operation. */
function estimateBytes(operation: Operation): number {
  if (operation.do === 'append') return operation.drafts.reduce((sum, draft) => sum + draft.body.length, 200);
  if (operation.do !== 'importChunk') return 100;
  const { entries, keys, tickets, idempotencyKeys } = operation;
  const texts = [...entries.map(({ body }) => body), ...keys.map(([, { value }]) => value), ...tickets.map(({ value }) => value)];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0) + 200, 200 + 100 * idempotencyKeys.length);
}

const toImportOperation = ({ room, head, entries, keys, tickets, idempotencyKeys }: RoomChunk): ImportOperation => ({
  do: 'importChunk',
  room,
  head,
  entries: entries.map((entry) => ({ ...entry, body: entry.body === null ? null : JSON.stringify(entry.body) })),
  keys: keys.map(([key, state]) => [key, { ...state, value: JSON.stringify(state.value) }]),
  tickets: tickets.map((ticket) => ({ ...ticket, value: JSON.stringify(ticket.value) })),
  idempotencyKeys,
});

function toEntry({ by, author, kind, body, quiet = false, listed = false }: Draft, { seq, id, prev, at, hlc }: AppendedEntry): Entry {
  return { seq, id, prev, at, hlc, by, author, kind, body, quiet, listed };
}
