import type { Position } from '@engawa/protocol/position';
import { areStrings } from './entry.ts';
import type { Shelf } from './storage.ts';

const SAVE_MS = 250;

/** What of a room outlives a page, beside what waits to be sent. */
export interface Kept {
  username: string;
  position?: Position | undefined;
}

/** Writes down where a room is, a few times a second. */
export class Keeper {
  readonly #shelf: Shelf;
  readonly #key: string;
  readonly #current: () => Kept;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isWaiting = false;
  #isClosed = false;

  constructor(shelf: Shelf, roomId: string, current: () => Kept) {
    this.#shelf = shelf;
    this.#key = keyOf(roomId);
    this.#current = current;
  }

  touch(): void {
    if (!this.#isClosed) this.#timer ??= setTimeout(() => this.flush(), SAVE_MS);
  }

  /** Only what the application was told is written: a position is never ahead of its listeners. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // However slow the storage is, one writing waits.
    if (this.#isClosed || this.#isWaiting) return;
    this.#isWaiting = true;
    void this.#shelf.write(this.#key, () => {
      this.#isWaiting = false;
      return this.#current();
    });
  }

  close(): void {
    this.flush();
    this.#isClosed = true;
  }

  forget(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
    void this.#shelf.write(this.#key);
  }
}

/** What was written by another version, another name or another program is as good as nothing. */
export async function readPosition(shelf: Shelf, roomId: string, username: string): Promise<Position | undefined> {
  const found = (await shelf.read(keyOf(roomId))) as Partial<Kept> | null | undefined;
  return found?.username === username && isPosition(found.position) ? found.position : undefined;
}

const keyOf = (roomId: string): string => `room:${roomId}`;

function isPosition(value: unknown): value is Position {
  const { epoch, seq, id } = (value ?? {}) as Partial<Position>;
  return areStrings(epoch, id === null ? epoch : id) && Number.isSafeInteger(seq) && Number(seq) >= 0;
}
