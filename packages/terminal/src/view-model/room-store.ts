/** Values that are kept for each room in the profile's storage, written a little after they change. */
import type { ClientStorage } from '@engawa/client';

interface RoomStoreOptions<Value> {
  storage: ClientStorage;
  /** What the keys begin with; the room's id follows. */
  prefix: string;
  /** Nothing of what was read but is no such value. */
  parse: (read: unknown) => Value | undefined;
  /** Milliseconds in which changes gather: what a kill may lose. */
  saveDelayMs: number;
}

export class RoomStore<Value extends object> {
  readonly #options: RoomStoreOptions<Value>;
  /** What is to be written; nothing takes the value away. */
  readonly #pending = new Map<string, Value | undefined>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: RoomStoreOptions<Value>) {
    this.#options = options;
  }

  /** Nothing when it is not known. */
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

  /** At once. */
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
      // A storage that fails is told by the SDK, and the program goes on without.
    }
  }
}
