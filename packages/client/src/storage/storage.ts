/** Client storage: the interface, and a wrapper that never fails its caller. */
import { runSequentially, waitForStorageSync, withLock } from './tabs.ts';

/** Stores the session, positions and unsent requests of a client: `localStorage`, or a storage with the same methods. */
export interface ClientStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
  /** Lists the keys, as `localStorage` does, */
  readonly length?: number;
  key?(index: number): string | null;
  /** or as the `AsyncStorage` of React Native does. With neither, an index of the unsent requests is stored as well. */
  getAllKeys?(): Promise<readonly string[]>;
}

/** Wraps an optional storage. Its methods never reject; the first error is reported once. */
export class SafeStorage {
  readonly backend: ClientStorage | undefined;
  readonly #prefix: string;
  readonly #onError: (error: unknown) => void;
  #hasReportedError = false;

  constructor(backend: ClientStorage | undefined, prefix: string, onError: (error: unknown) => void) {
    this.backend = backend;
    this.#prefix = prefix;
    this.#onError = onError;
  }

  /** Undefined if the key does not exist or its value cannot be parsed. */
  read(key: string): Promise<unknown> {
    return this.#runInTurn(() => this.#get(key));
  }

  /**
   * Calls `value` when its turn comes, so that the newest state is written; without a value it removes the key. With a
   * synchronous storage the write is done when this returns, unless other operations wait.
   */
  write(key: string, value?: () => unknown): Promise<unknown> {
    return this.#runInTurn(() => this.#set(key, value?.()));
  }

  /**
   * Returns the stored value if it is valid, else stores the fallback. Concurrent callers, in other tabs too, get the same value.
   */
  async getOrCreate<Value>(key: string, isValid: (found: unknown) => found is Value, fallback: Value): Promise<Value> {
    const make = async () => {
      if (!isValid(await this.#get(key))) {
        await this.#set(key, fallback);
        await waitForStorageSync();
      }
      return this.#get(key);
    };
    const stored = this.backend && (await withLock(this.#prefix + key, () => this.#runInTurn(make)));
    return isValid(stored) ? stored : fallback;
  }

  /** All values of a group; each has its own key. */
  async list(group: string): Promise<unknown[]> {
    return (await this.#runInTurn(async () => Promise.all((await this.#listIds(group)).map((id) => this.#get(group + id))))) ?? [];
  }

  /** Writes one value of a group, or removes it. */
  put(group: string, id: string, value?: object): Promise<unknown> {
    return this.#runInTurn(() => Promise.all([this.#set(group + id, value), this.#updateIndex(group, id, value)]));
  }

  /** Resolves when all previous operations are done. */
  drain(): Promise<unknown> {
    return this.#runInTurn(() => undefined);
  }

  get #canList(): boolean {
    const { backend = {} } = this;
    return 'key' in backend || 'getAllKeys' in backend;
  }

  async #listIds(group: string): Promise<string[]> {
    const { backend } = this;
    if (!this.#canList) return this.#readIndex(group);
    const start = this.#prefix + group;
    const keys = (await backend?.getAllKeys?.()) ?? Array.from({ length: backend?.length ?? 0 }, (_, index) => backend?.key?.(index) ?? '');
    // The name of another room's group may start with the same text.
    return keys.filter((key) => key.startsWith(start) && !key.includes(':', start.length)).map((key) => key.slice(start.length));
  }

  async #readIndex(group: string): Promise<string[]> {
    const found = await this.#get(group);
    return Array.isArray(found) ? found.map(String) : [];
  }

  async #updateIndex(group: string, id: string, value: unknown): Promise<void> {
    if (this.#canList) return;
    const others = (await this.#readIndex(group)).filter((each) => each !== id);
    const all = value ? [...others, id] : others;
    await this.#set(group, all.length > 0 ? all : undefined);
  }

  async #get(key: string): Promise<unknown> {
    let text: string | null | undefined;
    try {
      text = await this.backend?.getItem(this.#prefix + key);
    } catch (error) {
      // A value that cannot be read counts as missing, and is replaced.
      this.#reportError(error);
    }
    try {
      return JSON.parse(text ?? '') as unknown;
    } catch {
      return undefined;
    }
  }

  #reportError(error: unknown): void {
    if (!this.#hasReportedError) this.#onError(error);
    this.#hasReportedError = true;
  }

  #set(key: string, value?: unknown): void | Promise<void> {
    const name = this.#prefix + key;
    return value === undefined ? this.backend?.removeItem(name) : this.backend?.setItem(name, JSON.stringify(value));
  }

  /**
   * Runs the operations on one storage one after the other, even those of several clients, so that a read sees all earlier
   * writes.
   */
  #runInTurn<Done>(operation: () => Done | Promise<Done>): Promise<Done | undefined> {
    return runSequentially(this.backend ?? this, async () => {
      try {
        return await operation();
      } catch (error) {
        this.#reportError(error);
        return undefined;
      }
    });
  }
}
