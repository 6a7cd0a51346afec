import { runSequentially, waitForStorageSync, withLock } from './tabs.ts';

/** Where a client keeps its session, its positions and what it has yet to send: `localStorage`, or anything like it. */
export interface ClientStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
  /** How its keys are listed: as `localStorage` does it, */
  readonly length?: number;
  key?(index: number): string | null;
  /** or as the `AsyncStorage` of React Native. Where it cannot be done, a list of what waits is kept beside it. */
  getAllKeys?(): Promise<readonly string[]>;
}

/** A storage, if there is one, that never fails the one who chats: what it throws is told once. */
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

  /** Nothing when there is nothing, or nothing that can be read. */
  read(key: string): Promise<unknown> {
    return this.#runInTurn(() => this.#get(key));
  }

  /**
   * What is written is asked for when its turn comes; without it, what is there is taken away. A storage that writes at once has
   * written when this returns, unless others wait.
   */
  write(key: string, value?: () => unknown): Promise<unknown> {
    return this.#runInTurn(() => this.#set(key, value?.()));
  }

  /** What is there if it passes, else what is made: of all who find nothing at the same time each gets the one that stays. */
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

  /** The values of a group, each under its own key. */
  async list(group: string): Promise<unknown[]> {
    return (await this.#runInTurn(async () => Promise.all((await this.#listIds(group)).map((id) => this.#get(group + id))))) ?? [];
  }

  /** One of a group, taken away when there is no value. */
  put(group: string, id: string, value?: object): Promise<unknown> {
    return this.#runInTurn(() => Promise.all([this.#set(group + id, value), this.#updateIndex(group, id, value)]));
  }

  /** Resolves when all that was put is there, as far as it can be. */
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
    // The group of another room may begin with the same text.
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
      // What cannot be read is replaced, and keeps nobody from what else there is.
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

  /** Whichever client does it, it is done one after the other: who reads finds what was written before. */
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
