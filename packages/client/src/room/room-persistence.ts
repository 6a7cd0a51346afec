import type { Position } from '@engawa/protocol/position';
import type { SafeStorage } from '../storage/storage.ts';
import { areStrings } from '../timeline/entry.ts';

const SAVE_INTERVAL_MS = 250;

/** What of a room outlives a page, beside what waits to be sent. */
export interface PersistedRoom {
  username: string;
  position?: Position | undefined;
}

/** Writes down where a room is, a few times a second. */
export class RoomPersistence {
  readonly #storage: SafeStorage;
  readonly #key: string;
  readonly #getState: () => PersistedRoom;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isWriteQueued = false;
  #isClosed = false;

  constructor(storage: SafeStorage, roomId: string, getState: () => PersistedRoom) {
    this.#storage = storage;
    this.#key = storageKey(roomId);
    this.#getState = getState;
  }

  scheduleSave(): void {
    if (!this.#isClosed) this.#timer ??= setTimeout(() => this.flush(), SAVE_INTERVAL_MS);
  }

  /** Only what the application was told is written: a position is never ahead of its listeners. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // However slow the storage is, one writing waits.
    if (this.#isClosed || this.#isWriteQueued) return;
    this.#isWriteQueued = true;
    void this.#storage.write(this.#key, () => {
      this.#isWriteQueued = false;
      return this.#getState();
    });
  }

  close(): void {
    this.flush();
    this.#isClosed = true;
  }

  remove(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
    void this.#storage.write(this.#key);
  }
}

/** What was written by another version, another name or another program is as good as nothing. */
export async function readPosition(storage: SafeStorage, roomId: string, username: string): Promise<Position | undefined> {
  const stored = (await storage.read(storageKey(roomId))) as Partial<PersistedRoom> | null | undefined;
  return stored?.username === username && isPosition(stored.position) ? stored.position : undefined;
}

const storageKey = (roomId: string): string => `room:${roomId}`;

function isPosition(value: unknown): value is Position {
  const { epoch, seq, id } = (value ?? {}) as Partial<Position>;
  return areStrings(epoch, id === null ? epoch : id) && Number.isSafeInteger(seq) && Number(seq) >= 0;
}
