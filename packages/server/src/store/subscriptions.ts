/** In-process registry of listeners by room. */
import type { AppendNotice, Json, Listener } from './contract.ts';

/** The listeners of each room, for engines that notify all of them in their own process. */
export class Subscriptions {
  readonly #listeners = new Map<string, Set<Listener>>();

  has(room: string): boolean {
    return this.#listeners.has(room);
  }

  notifyAppend(room: string, notice: AppendNotice): void {
    for (const listener of this.#listeners.get(room) ?? []) listener.onAppend(notice);
  }

  notifyPublish(room: string, message: Json): void {
    for (const listener of this.#listeners.get(room) ?? []) listener.onPublish(message);
  }

  notifyGap(room: string): void {
    for (const listener of this.#listeners.get(room) ?? []) listener.onGap();
  }

  /** Returns a function that removes the listener. */
  add(room: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(room) ?? new Set();
    // The same listener may subscribe twice, and is then called twice.
    const subscription: Listener = {
      onAppend: (notice) => listener.onAppend(notice),
      onPublish: (message) => listener.onPublish(message),
      onGap: () => listener.onGap(),
    };
    this.#listeners.set(room, listeners.add(subscription));
    return () => {
      listeners.delete(subscription);
      if (listeners.size === 0 && this.#listeners.get(room) === listeners) this.#listeners.delete(room);
    };
  }
}
