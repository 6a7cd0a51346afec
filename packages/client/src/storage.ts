import { alone, inTurn, settled } from './tabs.ts';

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
export class Shelf {
  readonly storage: ClientStorage | undefined;
  readonly #prefix: string;
  readonly #onError: (error: unknown) => void;
  #hasFailed = false;

  constructor(storage: ClientStorage | undefined, prefix: string, onError: (error: unknown) => void) {
    this.storage = storage;
    this.#prefix = prefix;
    this.#onError = onError;
  }

  /** Nothing when there is nothing, or nothing that can be read. */
  read(key: string): Promise<unknown> {
    return this.#do(() => this.#get(key));
  }

  /**
   * What is written is asked for when its turn comes; without it, what is there is taken away. A storage that writes at once has
   * written when this returns, unless others wait.
   */
  write(key: string, value?: () => unknown): Promise<unknown> {
    return this.#do(() => this.#set(key, value?.()));
  }

  /** What is there if it passes, else what is made: of all who find nothing at the same time each gets the one that stays. */
  async make<Value>(key: string, isValid: (found: unknown) => found is Value, made: Value): Promise<Value> {
    const make = async () => {
      if (!isValid(await this.#get(key))) {
        await this.#set(key, made);
        await settled();
      }
      return this.#get(key);
    };
    const kept = this.storage && (await alone(this.#prefix + key, () => this.#do(make)));
    return isValid(kept) ? kept : made;
  }

  /** The values of a group, each under its own key. */
  async list(group: string): Promise<unknown[]> {
    return (await this.#do(async () => Promise.all((await this.#idsOf(group)).map((id) => this.#get(group + id))))) ?? [];
  }

  /** One of a group, taken away when there is no value. */
  put(group: string, id: string, value?: object): Promise<unknown> {
    return this.#do(() => Promise.all([this.#set(group + id, value), this.#note(group, id, value)]));
  }

  /** Resolves when all that was put is there, as far as it can be. */
  settled(): Promise<unknown> {
    return this.#do(() => undefined);
  }

  get #canList(): boolean {
    const { storage = {} } = this;
    return 'key' in storage || 'getAllKeys' in storage;
  }

  async #idsOf(group: string): Promise<string[]> {
    const { storage } = this;
    if (!this.#canList) return this.#noted(group);
    const start = this.#prefix + group;
    const keys = (await storage?.getAllKeys?.()) ?? Array.from({ length: storage?.length ?? 0 }, (_, index) => storage?.key?.(index) ?? '');
    // The group of another room may begin with the same text.
    return keys.filter((key) => key.startsWith(start) && !key.includes(':', start.length)).map((key) => key.slice(start.length));
  }

  async #noted(group: string): Promise<string[]> {
    const found = await this.#get(group);
    return Array.isArray(found) ? found.map(String) : [];
  }

  async #note(group: string, id: string, value: unknown): Promise<void> {
    if (this.#canList) return;
    const others = (await this.#noted(group)).filter((each) => each !== id);
    const all = value ? [...others, id] : others;
    await this.#set(group, all.length > 0 ? all : undefined);
  }

  async #get(key: string): Promise<unknown> {
    let text: string | null | undefined;
    try {
      text = await this.storage?.getItem(this.#prefix + key);
    } catch (error) {
      // What cannot be read is replaced, and keeps nobody from what else there is.
      this.#failed(error);
    }
    try {
      return JSON.parse(text ?? '') as unknown;
    } catch {
      return undefined;
    }
  }

  #failed(error: unknown): void {
    if (!this.#hasFailed) this.#onError(error);
    this.#hasFailed = true;
  }

  #set(key: string, value?: unknown): void | Promise<void> {
    const name = this.#prefix + key;
    return value === undefined ? this.storage?.removeItem(name) : this.storage?.setItem(name, JSON.stringify(value));
  }

  /** Whichever client does it, it is done one after the other: who reads finds what was written before. */
  #do<Done>(step: () => Done | Promise<Done>): Promise<Done | undefined> {
    return inTurn(this.storage ?? this, async () => {
      try {
        return await step();
      } catch (error) {
        this.#failed(error);
        return undefined;
      }
    });
  }
}
