// Stores one value for each room in a storage of the front end, with delayed writes.
import type { ClientStorage } from '@engawa/client';

export interface RoomStoreOptions<Value> {
  storage: ClientStorage;
  /** Prefix of the keys; the room id follows. */
  prefix: string;
  /** Validates a stored value; undefined if it is invalid. */
  parse: (read: unknown) => Value | undefined;
  /** Changes are collected for this many milliseconds; a kill may lose them. */
  saveDelayMs: number;
}

export class RoomStore<Value extends object> {
  readonly #options: RoomStoreOptions<Value>;
  /** Values to write; undefined removes the value. */
  readonly #pending = new Map<string, Value | undefined>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: RoomStoreOptions<Value>) {
    this.#options = options;
  }

  /** Undefined if nothing is stored. */
  async read(roomId: string): Promise<Value | undefined> {
    const { storage, prefix, parse } = this.#options;
    try {
      return parse(JSON.parse((await storage.getItem(prefix + roomId)) ?? 'null'));
    } catch {
      return undefined;
    }
  }

  write(roomId: string, value: Value): void {
    this.#pending.set(roomId, value);
    this.#timer ??= setTimeout(() => this.flush(), this.#options.saveDelayMs);
  }

  /** Removes without delay. */
  remove(roomId: string): void {
    this.#pending.set(roomId, undefined);
    this.flush();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [roomId, value] of this.#pending) void this.#save(roomId, value);
    this.#pending.clear();
  }

  async #save(roomId: string, value: Value | undefined): Promise<void> {
    const { storage, prefix } = this.#options;
    try {
      if (value === undefined) await storage.removeItem(prefix + roomId);
      else await storage.setItem(prefix + roomId, JSON.stringify(value));
    } catch {
      // The SDK reports storage failures; the client continues without the value.
    }
  }
}
