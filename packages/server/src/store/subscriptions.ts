import type { Listener } from './store.ts';

/** The listeners of each room, for engines that hear every append in their own process. */
export class Subscriptions {
  readonly #listeners = new Map<string, Set<Listener>>();

  has(room: string): boolean {
    return this.#listeners.has(room);
  }

  tell(room: string, told: Parameters<Listener>[0]): void {
    for (const listener of this.#listeners.get(room) ?? []) listener(told);
  }

  /** Answers how to stop listening. */
  add(room: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(room) ?? new Set();
    const ours: Listener = (told) => listener(told);
    this.#listeners.set(room, listeners.add(ours));
    return () => {
      listeners.delete(ours);
      if (listeners.size === 0 && this.#listeners.get(room) === listeners) this.#listeners.delete(room);
    };
  }
}
