/**
 * The writer: a worker thread with the one connection that writes. A batch is one transaction and one wait for the
 * disk, however many operations it holds; its answers are sent after the commit.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { StoreError } from '../store.ts';
import { claimFolder, explaining } from './folder.ts';
import type { Batch, FromWriter, Operation, OperationAnswer, ToWriter } from './operations.ts';
import { openForWriting } from './schema.ts';
import { type Database, troubleOf } from './sqlite.ts';
import { Tables } from './tables.ts';
import { Witness } from './witness.ts';

/** How long nothing must have been written before tidying up. */
const REST_MS = 250;
/** How often something is tidied up though there is no rest, so that space becomes free on a server that always writes. */
const TIDY_EVERY_MS = 1_000;

class Writer {
  readonly #lock: Database;
  readonly #database: Database;
  readonly #tables: Tables;
  readonly #witness: Witness;
  /** The database is an older one than was here before. */
  readonly wasRestored: boolean;
  #resting: NodeJS.Timeout | undefined;
  #tidiedAt = 0;
  /**
   * After a failed fsync nobody knows what the disk holds, and asking again answers a false yes: no more is written
   * until a restart has read the file anew.
   */
  #mediumFailed = false;

  constructor(folder: string) {
    this.#lock = claimFolder(folder);
    this.#witness = new Witness(folder);
    try {
      this.#database = explaining(folder, () => openForWriting(folder));
      this.#tables = new Tables(this.#database);
      this.wasRestored = this.#witness.hasSeenMoreThan(this.#tables.newestTick());
      if (this.wasRestored) this.#tables.forkAll();
    } catch (error) {
      this.#lock.close();
      throw error;
    }
    this.#rest(0);
  }

  write({ operations, now }: Batch): OperationAnswer[] {
    const answers = this.#commitOrExplain(operations, now);
    if (this.#witness.isDue) this.#witness.see(this.#tables.newestTick());
    this.#rest(now);
    return answers;
  }

  /** After a batch was answered. */
  tidyIfDue(now: number): void {
    if (performance.now() - this.#tidiedAt > TIDY_EVERY_MS) this.#tidy(() => this.#tables.removeSome(now));
  }

  close(): void {
    clearTimeout(this.#resting);
    try {
      if (!this.#mediumFailed) this.#tables.emptyLog();
      this.#witness.see(this.#tables.newestTick());
    } catch {
      // It stays beside the database, which is whole only with it.
    }
    this.#database.close();
    this.#lock.close();
  }

  #commitOrExplain(operations: Operation[], now: number): OperationAnswer[] {
    if (this.#mediumFailed) return failing(operations, 'failed', 'The disk failed before; restart the server once it is mended.');
    try {
      return this.#commit(operations, now);
    } catch (error) {
      const trouble = troubleOf(error);
      this.#mediumFailed ||= trouble === 'io';
      // One operation that cannot be kept fails alone: the others of its batch are tried without it.
      if (operations.length > 1 && trouble === 'unknown') return operations.flatMap((each) => this.#commitOrExplain([each], now));
      return failing(operations, trouble === 'full' ? 'full' : 'failed', (error as Error).message);
    }
  }

  #commit(operations: Operation[], now: number): OperationAnswer[] {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const answers = operations.map((operation) => this.#tables.apply(operation, now));
      this.#tables.flush();
      this.#database.exec('COMMIT');
      return answers;
    } catch (error) {
      this.#tables.forget();
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    try {
      this.#database.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full.
    }
  }

  /** `now` is the store's clock as it was last heard of: what runs out later waits for the next batch. */
  #rest(now: number): void {
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      this.#tidy(() => {
        this.#witness.see(this.#tables.newestTick());
        if (this.#tables.tidy(now) === 'more') this.#rest(now);
      });
    }, REST_MS);
  }

  /** What fails is tried again after the next batch; what could not be removed yet harms nobody. */
  #tidy(tidy: () => void): void {
    if (this.#mediumFailed) return;
    this.#tidiedAt = performance.now();
    try {
      tidy();
    } catch {
      this.#rollBack();
    }
  }
}

function failing(operations: Operation[], failed: 'full' | 'failed', message: string): OperationAnswer[] {
  return operations.map(() => ({ failed, message }));
}

function run(folder: string): void {
  const port = parentPort;
  if (!port) throw new Error('The writer runs in a worker thread.');
  const say = (message: FromWriter): void => port.postMessage(message);
  try {
    const writer = new Writer(folder);
    port.on('message', (message: ToWriter) => {
      if (message !== 'close') {
        say(writer.write(message));
        return writer.tidyIfDue(message.now);
      }
      writer.close();
      port.close();
    });
    say({ opened: true, wasRestored: writer.wasRestored });
  } catch (error) {
    const reason = error instanceof StoreError && error.reason === 'full' ? 'full' : 'failed';
    say({ failed: reason, message: (error as Error).message });
    port.close();
  }
}

run((workerData as { folder: string }).folder);
