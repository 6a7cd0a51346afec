import type { Json, Listener, Told } from './store.ts';

/** The listeners of each room, for engines that hear everything in their own process. */
export class Subscriptions {
  readonly #listeners = new Map<string, Set<Listener>>();

  has(room: string): boolean {
    return this.#listeners.has(room);
  }

  tell(room: string, told: Told): void {
    for (const listener of this.#listeners.get(room) ?? []) listener.appended(told);
  }

  announce(room: string, signal: Json): void {
    for (const listener of this.#listeners.get(room) ?? []) listener.announced(signal);
  }

  missed(room: string): void {
    for (const listener of this.#listeners.get(room) ?? []) listener.missed();
  }

  /** Answers how to stop listening. */
  add(room: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(room) ?? new Set();
    // One listener may subscribe twice, and is then told twice.
    const ours: Listener = {
      appended: (told) => listener.appended(told),
      announced: (signal) => listener.announced(signal),
      missed: () => listener.missed(),
    };
    this.#listeners.set(room, listeners.add(ours));
    return () => {
      listeners.delete(ours);
      if (listeners.size === 0 && this.#listeners.get(room) === listeners) this.#listeners.delete(room);
    };
  }
}
