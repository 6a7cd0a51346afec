import type { Position } from '@engawa/protocol/position';
import type { StoredChat } from './outbox.ts';
import type { Shelf } from './storage.ts';

const SAVE_MS = 250;

/** What of a room outlives a page. */
export interface Kept {
  username: string;
  position?: Position | undefined;
  outbox: StoredChat[];
}

/** Writes down where a room is: what is to be sent at once, the position a few times a second. */
export class Keeper {
  readonly #shelf: Shelf;
  readonly #key: string;
  readonly #current: () => Kept;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(shelf: Shelf, roomId: string, current: () => Kept) {
    this.#shelf = shelf;
    this.#key = keyOf(roomId);
    this.#current = current;
  }

  touch(): void {
    if (!this.#isClosed) this.#timer ??= setTimeout(() => void this.flush(), SAVE_MS);
  }

  /** Only what the application was told is written: a position is never ahead of its listeners. */
  flush(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#shelf.write(this.#key, this.#current());
  }

  close(): void {
    void this.flush();
    this.#isClosed = true;
  }

  forget(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
    void this.#shelf.remove(this.#key);
  }
}

/** What was written by another version, another name or another program is as good as nothing. */
export async function readKept(shelf: Shelf, roomId: string, username: string): Promise<Kept> {
  const found = (await shelf.read(keyOf(roomId))) as Partial<Kept> | null | undefined;
  if (found?.username !== username) return { username, outbox: [] };
  const outbox = Array.isArray(found.outbox) ? found.outbox.filter(isStoredChat) : [];
  return isPosition(found.position) ? { username, outbox, position: found.position } : { username, outbox };
}

const keyOf = (roomId: string): string => `room:${roomId}`;

function isStoredChat(value: unknown): value is StoredChat {
  const chat = value as Partial<StoredChat> | null;
  const isSaid = typeof chat?.clientId === 'string' && typeof chat.message === 'string' && typeof chat.at === 'number';
  return isSaid && (chat.reply === undefined || isReply(chat.reply));
}

function isReply(value: unknown): value is StoredChat['reply'] {
  const { epoch, seq } = (value ?? {}) as Partial<Position>;
  return typeof epoch === 'string' && Number.isSafeInteger(seq);
}

function isPosition(value: unknown): value is Position {
  const { epoch, seq, id } = (value ?? {}) as Partial<Position>;
  return typeof epoch === 'string' && Number.isSafeInteger(seq) && Number(seq) >= 0 && (id === null || typeof id === 'string');
}
