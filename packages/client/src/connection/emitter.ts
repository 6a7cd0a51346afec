/** Events by name, each with what it carries. */
export class Emitter<Events> {
  readonly #listeners = new Set<{ name: keyof Events; listener: (payload: never) => void }>();

  /** Returns what ends the listening. */
  on<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => void): () => void {
    const subscription = { name, listener };
    this.#listeners.add(subscription);
    return () => void this.#listeners.delete(subscription);
  }

  /** What a listener throws is the application's: it is thrown where nothing of ours is in the middle of something. */
  emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void {
    // Who begins to listen meanwhile hears the next.
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
