/**
 * The writer: a worker thread with the one connection that writes. A batch is one transaction and one wait for the
 * disk, however many operations it holds; its answers are sent after the commit.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { StoreError } from '../store.ts';
import { claimFolder, explaining } from './folder.ts';
import type { FromWriter, Operation, OperationAnswer, ToWriter } from './operations.ts';
import { openForWriting } from './schema.ts';
import { troubleOf } from './sqlite.ts';
import { Tables } from './tables.ts';

/** How long nothing must have been written before tidying up. */
const REST_MS = 250;

const port = parentPort;
if (!port) throw new Error('The writer runs in a worker thread.');
const { folder } = workerData as { folder: string };

const say = (message: FromWriter): void => port.postMessage(message);

function open() {
  const lock = claimFolder(folder);
  try {
    const database = explaining(folder, () => openForWriting(folder));
    return { lock, database, tables: new Tables(database) };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/**
 * After a failed fsync nobody knows what the disk holds, and asking again answers a false yes: no more is written
 * until a restart has read the file anew.
 */
let mediumFailed = false;

try {
  const { lock, database, tables } = open();

  function commit(operations: Operation[], now: number): OperationAnswer[] {
    database.exec('BEGIN IMMEDIATE');
    try {
      const answers = operations.map((operation) => tables.apply(operation, now));
      tables.flush();
      database.exec('COMMIT');
      return answers;
    } catch (error) {
      tables.forget();
      try {
        database.exec('ROLLBACK');
      } catch {
        // SQLite has rolled back by itself, as it does when the disk is full.
      }
      throw error;
    }
  }

  /** One operation that cannot be kept fails alone: the others of its batch are tried without it. */
  function commitEach(operations: Operation[], now: number): OperationAnswer[] {
    if (mediumFailed)
      return operations.map(() => ({ failed: 'failed', message: 'The disk failed before; restart the server once it is mended.' }));
    try {
      return commit(operations, now);
    } catch (error) {
      const trouble = troubleOf(error);
      mediumFailed ||= trouble === 'io';
      if (operations.length > 1 && trouble === 'unknown') return operations.flatMap((operation) => commitEach([operation], now));
      const failure = { failed: trouble === 'full' ? 'full' : 'failed', message: (error as Error).message } as const;
      return operations.map(() => failure);
    }
  }

  let resting: NodeJS.Timeout | undefined;
  function rest(): void {
    clearTimeout(resting);
    resting = setTimeout(() => {
      try {
        if (!mediumFailed && tables.tidy() === 'more') rest();
      } catch {
        // Tidying is tried again after the next batch; what could not be removed yet harms nobody.
      }
    }, REST_MS);
  }

  port.on('message', (message: ToWriter) => {
    if (message === 'close') {
      clearTimeout(resting);
      try {
        if (!mediumFailed) tables.emptyLog();
      } catch {
        // It stays beside the database, which is whole only with it.
      }
      database.close();
      lock.close();
      port.close();
      return;
    }
    say(commitEach(message.operations, message.now));
    rest();
  });
  rest();
  say('open');
} catch (error) {
  say({ failed: error instanceof StoreError && error.reason === 'full' ? 'full' : 'failed', message: (error as Error).message });
  port.close();
}
