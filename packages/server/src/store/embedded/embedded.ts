import { Worker } from 'node:worker_threads';
import {
  type Append,
  type Appended,
  type Draft,
  type Entry,
  forkOf,
  type Json,
  type Listener,
  type Parcel,
  type Store,
  StoreError,
} from '../store.ts';
import { Subscriptions } from '../subscriptions.ts';
import type {
  AppendAnswer,
  AppendOperation,
  Batch,
  FromWriter,
  Opened,
  Operation,
  OperationAnswer,
  PlacedEntry,
  UnpackOperation,
} from './operations.ts';
import { Reader } from './reader.ts';
import { openForReading } from './schema.ts';

/** Operations of one transaction: few enough that this thread answers one batch while the writer is at the next. */
const BATCH_OPERATIONS = 250;
const BATCH_BYTES = 4 * 1024 * 1024;
/** What may wait for the writer before `busy`. */
const WAITING_OPERATIONS = 50_000;
const WAITING_BYTES = 64 * 1024 * 1024;

/** What the writer allocates lives no longer than a batch: by itself V8 would let that be 48 MiB before it is collected. */
const WRITER = { maxYoungGenerationSizeMb: 6 };

const NO_DRAFTS: Draft[] = [];

interface Waiting {
  operation: Operation;
  bytes: number;
  /** Of an append. */
  drafts: Draft[];
  answer: (answer: OperationAnswer) => void;
  refuse: (error: StoreError) => void;
}

/**
 * The embedded engine: one SQLite file in one folder that belongs to one process. All appends that wait are one batch
 * for the writer thread: one transaction, one wait for the disk, then their answers. While a batch is being written the
 * next one gathers, so batches grow with the load by themselves.
 */
export async function openEmbedded({ folder, clock = Date.now }: { folder: string; clock?: () => number }): Promise<EmbeddedStore> {
  const worker = new Worker(new URL('./writer.js', import.meta.url), { workerData: { folder }, resourceLimits: WRITER });
  const opened = await new Promise<FromWriter>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  if ('failed' in opened) throw new StoreError(opened.failed, opened.message);
  return new Embedded(worker, { folder, clock, wasRestored: (opened as Opened).wasRestored });
}

export interface EmbeddedStore extends Store {
  /** A backup was put back since it was open the last time: all rooms have new epochs, and clients are told. */
  readonly wasRestored: boolean;
}

class Embedded implements EmbeddedStore {
  readonly durability = 'fsync';
  readonly tickSkew = 0;
  readonly lag = 0;
  readonly wasRestored: boolean;
  readonly #worker: Worker;
  readonly #clock: () => number;
  readonly #database;
  readonly #reader: Reader;
  readonly #subscriptions = new Subscriptions();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** The batch that the writer is at. */
  #writing: Waiting[] = [];
  #state: 'open' | 'closing' | 'closed' = 'open';
  /** How the last write went: all that can be known of the next one. */
  #failed = false;
  /** How many there are: to count them takes as long as there are many. */
  #rooms: number;
  #gone: StoreError | undefined;
  #drained: (() => void) | undefined;
  readonly #exited: Promise<unknown>;

  constructor(worker: Worker, { folder, clock, wasRestored }: { folder: string; clock: () => number; wasRestored: boolean }) {
    this.#worker = worker;
    this.wasRestored = wasRestored;
    this.#clock = clock;
    this.#database = openForReading(folder);
    this.#reader = new Reader(this.#database);
    this.#rooms = this.#reader.countRooms();
    worker.on('message', (message: FromWriter) => this.#settle(message as OperationAnswer[]));
    worker.on('error', (error) => this.#writerIsGone(error));
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
  }

  get writable(): boolean {
    return this.#state === 'open' && !this.#failed;
  }

  append(room: string, append: Append): Promise<Appended> {
    return this.#ask(toOperation(room, append), append.drafts) as Promise<Appended>;
  }

  async beat(node: string, ttl: number): Promise<void> {
    await this.#ask({ do: 'beat', node, ttl });
  }

  async hold(room: string, key: { name: string; seq: number }, node: string): Promise<boolean> {
    return (await this.#ask({ do: 'hold', room, key: key.name, seq: key.seq, node })) as boolean;
  }

  async release(room: string, key: string, node: string, ttl: number): Promise<void> {
    await this.#ask({ do: 'release', room, key, node, ttl });
  }

  async setAside(room: string, key: string, ttl: number): Promise<boolean> {
    return (await this.#ask({ do: 'setAside', room, key, ttl })) as boolean;
  }

  async mark(room: string, key: string, seq: number): Promise<number | null> {
    return (await this.#ask({ do: 'mark', room, key, seq })) as number | null;
  }

  async fork(room: string, epoch: string): Promise<string | null> {
    return (await this.#ask({ do: 'fork', room, epoch, newEpoch: forkOf(epoch) })) as string | null;
  }

  async trim(room: string, { epoch, below }: { epoch: string; below: number }): Promise<void> {
    let isDone = false;
    while (!isDone) isDone = (await this.#ask({ do: 'trim', room, epoch, below })) as boolean;
  }

  async unpack(parcel: Parcel): Promise<void> {
    await this.#ask(toUnpacking(parcel));
  }

  read: Store['read'] = async (room, ask) => this.#reading(() => this.#reader.read(room, ask));
  recall: Store['recall'] = async (room, once) => this.#reading(() => this.#reader.recall(room, once));
  page: Store['page'] = async (room, ask) => this.#reading(() => this.#reader.page(room, ask, this.#clock()));
  family: Store['family'] = async (room, family, ask) => this.#reading(() => this.#reader.family(room, family, ask));
  rooms: Store['rooms'] = async (ask) => this.#reading(() => this.#reader.rooms(ask));
  usage: Store['usage'] = async () => this.#reading(() => ({ rooms: this.#rooms, bytes: this.#reader.usedBytes() }));
  pack: Store['pack'] = async (room, next) => this.#reading(() => this.#reader.pack(room, next));
  tickets: Store['tickets'] = async (holder, limit) => this.#reading(() => this.#reader.tickets(holder, this.#clock(), limit));
  lapsed: Store['lapsed'] = async (limit) => this.#reading(() => this.#reader.lapsed(this.#clock(), limit));

  async subscribe(room: string, listener: Listener): Promise<() => void> {
    this.#mustBeOpen();
    return this.#subscriptions.add(room, listener);
  }

  async announce(room: string, signal: Json): Promise<void> {
    this.#mustBeOpen();
    this.#subscriptions.announce(room, signal);
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    if (this.#writing.length > 0 || this.#waiting.length > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
    this.#state = 'closed';
    this.#database.close();
    this.#worker.postMessage('close');
    await this.#exited;
  }

  #mustBeOpen(): void {
    if (this.#state !== 'open') throw new StoreError('closed', 'The store is closed.');
  }

  #reading<Result>(read: () => Result): Result {
    this.#mustBeOpen();
    try {
      return read();
    } catch (error) {
      throw new StoreError('failed', `The database cannot be read: ${(error as Error).message}`, error);
    }
  }

  #ask(operation: Operation, drafts: Draft[] = NO_DRAFTS): Promise<OperationAnswer> {
    const bytes = bytesOf(operation);
    return new Promise((answer, refuse) => {
      if (this.#state !== 'open') return refuse(new StoreError('closed', 'The store is closed.'));
      if (this.#gone) return refuse(this.#gone);
      if (this.#waiting.length >= WAITING_OPERATIONS || this.#waitingBytes + bytes > WAITING_BYTES) {
        return refuse(new StoreError('busy', 'As much as may wait for the disk is waiting.'));
      }
      this.#waiting.push({ operation, bytes, drafts, answer, refuse });
      this.#waitingBytes += bytes;
      if (this.#writing.length === 0) this.#sendBatch();
    });
  }

  #sendBatch(): void {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      if (count > 0 && (count === BATCH_OPERATIONS || bytes + waiting.bytes > BATCH_BYTES)) break;
      bytes += waiting.bytes;
      count += 1;
    }
    this.#writing = this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes;
    const batch: Batch = { now: this.#clock(), operations: this.#writing.map(({ operation }) => operation) };
    this.#worker.postMessage(batch);
  }

  #settle(answers: OperationAnswer[]): void {
    const settled = this.#writing;
    this.#writing = [];
    if (this.#waiting.length > 0) this.#sendBatch();
    for (const [index, { operation, drafts, answer, refuse }] of settled.entries()) {
      const given = answers[index];
      if (given === undefined || (typeof given === 'object' && given !== null && 'failed' in given)) {
        this.#failed = true;
        refuse(new StoreError(given?.failed ?? 'failed', `The database cannot be written: ${given?.message ?? 'no answer'}`));
      } else {
        this.#failed = false;
        this.#rooms += roomsOpenedBy(operation, given);
        if (operation.do === 'append') this.#tell(operation.room, drafts, given as AppendAnswer);
        answer(given);
      }
    }
    if (this.#writing.length === 0) this.#drained?.();
  }

  /** The writer never throws by itself: this is out of memory, or worse. Reading goes on. */
  #writerIsGone(error: Error): void {
    this.#failed = true;
    const gone = new StoreError('failed', `The writer is gone: ${error.message}`, error);
    this.#gone = gone;
    const lost = [...this.#writing, ...this.#waiting];
    this.#writing = [];
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const { refuse } of lost) refuse(gone);
    this.#drained?.();
  }

  #tell(room: string, drafts: Draft[], answer: AppendAnswer): void {
    if (answer.outcome !== 'appended' || !this.#subscriptions.has(room)) return;
    const entries = drafts.map((draft, index) => toEntry(draft, answer.entries[index] as PlacedEntry));
    this.#subscriptions.tell(room, { epoch: answer.epoch, entries, ended: drafts.some((draft) => draft.ends) });
  }
}

/** How many rooms more there are because of it. */
function roomsOpenedBy(operation: Operation, answer: OperationAnswer): number {
  if (operation.do === 'unpack') return answer === true ? 1 : 0;
  if (operation.do !== 'append' || (answer as AppendAnswer).outcome !== 'appended') return 0;
  return (operation.epoch === null ? 1 : 0) - (operation.drafts.some((draft) => draft.ends) ? 1 : 0);
}

function toOperation(room: string, append: Append): AppendOperation {
  return { ...append, do: 'append', room, drafts: append.drafts.map((draft) => ({ ...draft, body: JSON.stringify(draft.body) })) };
}

/** About what it takes while it waits. */
function bytesOf(operation: Operation): number {
  if (operation.do === 'append') return operation.drafts.reduce((sum, draft) => sum + draft.body.length, 200);
  if (operation.do !== 'unpack') return 100;
  const { entries, keys, tickets, onces } = operation;
  const texts = [...entries.map(({ body }) => body), ...keys.map(([, { value }]) => value), ...tickets.map(({ value }) => value)];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0) + 200, 200 + 100 * onces.length);
}

const toUnpacking = ({ room, head, entries, keys, tickets, onces }: Parcel): UnpackOperation => ({
  do: 'unpack',
  room,
  head,
  entries: entries.map((entry) => ({ ...entry, body: entry.body === null ? null : JSON.stringify(entry.body) })),
  keys: keys.map(([key, of]) => [key, { ...of, value: JSON.stringify(of.value) }]),
  tickets: tickets.map((ticket) => ({ ...ticket, value: JSON.stringify(ticket.value) })),
  onces,
});

function toEntry({ by, author, kind, body, quiet = false, listed = false }: Draft, { seq, id, prev, at, tick }: PlacedEntry): Entry {
  return { seq, id, prev, at, tick, by, author, kind, body, quiet, listed };
}
