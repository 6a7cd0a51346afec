/** A typed event emitter. */

/** `Events`: the payloads by event name. */
export class Emitter<Events> {
  readonly #listeners = new Set<{ name: keyof Events; listener: (payload: never) => void }>();

  /** Returns a function that removes the listener. */
  on<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => void): () => void {
    const subscription = { name, listener };
    this.#listeners.add(subscription);
    return () => void this.#listeners.delete(subscription);
  }

  /** An error of a listener is rethrown in a microtask: it must not interrupt the SDK's own code. */
  emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void {
    // A copy: a listener that is added meanwhile does not receive this event.
    for (const subscription of [...this.#listeners]) {
      if (subscription.name !== name) continue;
      try {
        (subscription.listener as (payload: Events[Name]) => void)(payload);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
