/** Room persistence: saves the position of a room a few times a second. */
import type { Position } from '@engawa/protocol/position';
import type { SafeStorage } from '../storage/storage.ts';
import { areStrings } from '../timeline/entry.ts';

const SAVE_INTERVAL_MS = 250;

/** What the storage has of a room, besides its outbox. */
export interface PersistedRoom {
  username: string;
  position?: Position | undefined;
}

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

  /** The stored position is never ahead of what the application has received. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // At most one write waits, however slow the storage is.
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

/** Ignores values of another version, another username or another program. */
export async function readPosition(storage: SafeStorage, roomId: string, username: string): Promise<Position | undefined> {
  const stored = (await storage.read(storageKey(roomId))) as Partial<PersistedRoom> | null | undefined;
  return stored?.username === username && isPosition(stored.position) ? stored.position : undefined;
}

const storageKey = (roomId: string): string => `room:${roomId}`;

function isPosition(value: unknown): value is Position {
  const { epoch, seq, id } = (value ?? {}) as Partial<Position>;
  return areStrings(epoch, id === null ? epoch : id) && Number.isSafeInteger(seq) && Number(seq) >= 0;
}
