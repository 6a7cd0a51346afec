/** Where a client keeps its session, its positions and what it has yet to send: `localStorage`, or anything like it. */
export interface ClientStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
}

interface Writing {
  done: Promise<void>;
  /** What came while another value was being written; only the latest counts. */
  next?: string | null;
}

/** A storage that never fails the one who chats: what it throws is told once. */
export class Shelf {
  readonly #storage: ClientStorage | undefined;
  readonly #prefix: string;
  readonly #onError: (error: unknown) => void;
  readonly #writing = new Map<string, Writing>();
  #hasFailed = false;

  constructor(storage: ClientStorage | undefined, prefix: string, onError: (error: unknown) => void) {
    this.#storage = storage;
    this.#prefix = prefix;
    this.#onError = onError;
  }

  /** Nothing when there is nothing, or nothing that can be read. */
  async read(key: string): Promise<unknown> {
    try {
      const text = await this.#storage?.getItem(this.#prefix + key);
      return typeof text === 'string' ? parsed(text) : undefined;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  /** In the order of the calls for each key. A storage that writes at once has written when this returns. */
  write(key: string, value: unknown): Promise<void> {
    return this.#put(key, JSON.stringify(value));
  }

  remove(key: string): Promise<void> {
    return this.#put(key, null);
  }

  /** Resolves when all that was put is there, as far as it can be. */
  async settled(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all([...this.#writing.values()].map(({ done }) => done));
  }

  #put(key: string, text: string | null): Promise<void> {
    const before = this.#writing.get(key);
    if (before) {
      before.next = text;
      return before.done;
    }
    const put = this.#set(key, text);
    if (!put) return Promise.resolve();
    const writing: Writing = { done: put };
    this.#writing.set(key, writing);
    writing.done = this.#drain(key, put, writing);
    return writing.done;
  }

  async #drain(key: string, put: Promise<void> | undefined, writing: Writing): Promise<void> {
    for (let current = put; current; ) {
      await current.catch((error: unknown) => this.#failed(error));
      const { next } = writing;
      delete writing.next;
      current = next === undefined ? undefined : this.#set(key, next);
    }
    this.#writing.delete(key);
  }

  #set(key: string, text: string | null): Promise<void> | undefined {
    try {
      const done = text === null ? this.#storage?.removeItem(this.#prefix + key) : this.#storage?.setItem(this.#prefix + key, text);
      return done instanceof Promise ? done : undefined;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  #failed(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#onError(error);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
