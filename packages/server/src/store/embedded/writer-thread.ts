/**
 * The writer thread: the only connection that writes. A batch is one transaction and one fsync, whatever its size; its results
 * are sent after the commit.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { StoreError } from '../contract.ts';
import { lockDataDirectory, withOperatorError } from './data-directory.ts';
import { RestoreDetector } from './restore-detector.ts';
import { openForWriting } from './schema.ts';
import { classifySqliteError, type Database } from './sqlite-driver.ts';
import { WriteOperations } from './write-operations.ts';
import type { Batch, Operation, OperationResult, WriterMessage, WriterRequest } from './writer-messages.ts';

/** Idle time before garbage is collected, in milliseconds. */
const IDLE_BEFORE_CLEANUP_MS = 250;
/** Interval of garbage collection on a server that is never idle, in milliseconds, so that space becomes free there, too. */
const CLEANUP_INTERVAL_MS = 1_000;

class Writer {
  readonly #lock: Database;
  readonly #database: Database;
  readonly #operations: WriteOperations;
  readonly #restoreDetector: RestoreDetector;
  /** The database is older than the one that was here before. */
  readonly wasRestored: boolean;
  #idleTimer: NodeJS.Timeout | undefined;
  #cleanedUpAt = 0;
  /**
   * After a failed fsync the state of the disk is unknown, and another fsync would report false success. So nothing is written
   * until a restart has read the file again.
   */
  #mediumFailed = false;

  constructor(folder: string) {
    this.#lock = lockDataDirectory(folder);
    this.#restoreDetector = new RestoreDetector(folder);
    try {
      this.#database = withOperatorError(folder, () => openForWriting(folder));
      this.#operations = new WriteOperations(this.#database);
      this.wasRestored = this.#restoreDetector.isAheadOf(this.#operations.newestHlc());
      if (this.wasRestored) this.#operations.startNewEpochs();
    } catch (error) {
      this.#lock.close();
      throw error;
    }
    this.#scheduleCleanup(0);
  }

  write({ operations, now }: Batch): OperationResult[] {
    const results = this.#commitOrFail(operations, now);
    if (this.#restoreDetector.isDue) this.#restoreDetector.record(this.#operations.newestHlc());
    this.#scheduleCleanup(now);
    return results;
  }

  /** Call this after the results of a batch were sent. */
  cleanUpIfDue(now: number): void {
    if (performance.now() - this.#cleanedUpAt > CLEANUP_INTERVAL_MS) this.#cleanUp(() => this.#operations.removeGarbage(now));
  }

  close(): void {
    clearTimeout(this.#idleTimer);
    try {
      if (!this.#mediumFailed) this.#operations.truncateWal();
      this.#restoreDetector.record(this.#operations.newestHlc());
    } catch {
      // The file remains next to the database, which is complete only with it.
    }
    this.#database.close();
    this.#lock.close();
  }

  #commitOrFail(operations: Operation[], now: number): OperationResult[] {
    if (this.#mediumFailed) return failedResults(operations, 'failed', 'The disk failed before; restart the server once it is repaired.');
    try {
      return this.#commit(operations, now);
    } catch (error) {
      const errorKind = classifySqliteError(error);
      this.#mediumFailed ||= errorKind === 'io';
      // One failing operation must not fail the whole batch: the operations run again one by one.
      if (operations.length > 1 && errorKind === 'unknown') return operations.flatMap((each) => this.#commitOrFail([each], now));
      return failedResults(operations, errorKind === 'full' ? 'full' : 'failed', (error as Error).message);
    }
  }

  #commit(operations: Operation[], now: number): OperationResult[] {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const results = operations.map((operation) => this.#operations.apply(operation, now));
      this.#operations.writeHeads();
      this.#database.exec('COMMIT');
      return results;
    } catch (error) {
      this.#operations.discardCache();
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

  /** `now` is the store's clock of the last batch: what expires later waits for the next batch. */
  #scheduleCleanup(now: number): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      this.#cleanUp(() => {
        this.#restoreDetector.record(this.#operations.newestHlc());
        if (this.#operations.collectGarbage(now) === 'more') this.#scheduleCleanup(now);
      });
    }, IDLE_BEFORE_CLEANUP_MS);
  }

  /** A failure is retried after the next batch. Garbage that remains is harmless. */
  #cleanUp(run: () => void): void {
    if (this.#mediumFailed) return;
    this.#cleanedUpAt = performance.now();
    try {
      run();
    } catch {
      this.#rollBack();
    }
  }
}

function failedResults(operations: Operation[], failed: 'full' | 'failed', message: string): OperationResult[] {
  return operations.map(() => ({ failed, message }));
}

function startWriter(folder: string): void {
  const port = parentPort;
  if (!port) throw new Error('The writer runs in a worker thread.');
  const post = (message: WriterMessage): void => port.postMessage(message);
  try {
    const writer = new Writer(folder);
    port.on('message', (message: WriterRequest) => {
      if (message !== 'close') {
        post(writer.write(message));
        return writer.cleanUpIfDue(message.now);
      }
      writer.close();
      port.close();
    });
    post({ opened: true, wasRestored: writer.wasRestored });
  } catch (error) {
    const reason = error instanceof StoreError && error.reason === 'full' ? 'full' : 'failed';
    post({ failed: reason, message: (error as Error).message });
    port.close();
  }
}

startWriter((workerData as { folder: string }).folder);
