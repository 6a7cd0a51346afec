import type { ClientStorage, Room } from '@engawa/client';

const REST_MS = 500;

/** The last entry that was read, of one log. */
export interface Mark {
  epoch: string;
  seq: number;
}

/**
 * How far each room was read, beside what the server keeps: it forgets the mark of a guest whose name lapsed, thirty seconds
 * after the program was left.
 */
export class ReadMarks {
  readonly #storage: ClientStorage;
  readonly #prefix: string;
  readonly #late = new Map<string, Mark>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(storage: ClientStorage, server: string) {
    this.#storage = storage;
    this.#prefix = `engawa:${server}:read:`;
  }

  /** Nothing when it is not known. */
  async read(roomId: string): Promise<Mark | undefined> {
    try {
      const mark = JSON.parse((await this.#storage.getItem(this.#prefix + roomId)) ?? 'null') as Partial<Mark> | null;
      return typeof mark?.epoch === 'string' && Number.isSafeInteger(mark.seq) ? (mark as Mark) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Written down a little later. */
  write({ id, position: { epoch } }: Pick<Room, 'id' | 'position'>, seq: number): void {
    this.#late.set(id, { epoch, seq });
    this.#timer ??= setTimeout(() => this.flush(), REST_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [id, mark] of this.#late) void this.#put(id, JSON.stringify(mark));
    this.#late.clear();
  }

  async #put(id: string, mark: string): Promise<void> {
    try {
      await this.#storage.setItem(this.#prefix + id, mark);
    } catch {
      // A storage that fails is told by the SDK; without the mark chats are counted as the server does.
    }
  }
}
