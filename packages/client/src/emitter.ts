/** Events by name, each with what it carries. */
export class Emitter<Events> {
  readonly #listeners = new Map<keyof Events, ((payload: never) => void)[]>();

  /** Returns what ends the listening. */
  on<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => void): () => void {
    const own = (payload: Events[Name]) => listener(payload);
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), own]);
    return () => {
      this.#listeners.set(
        name,
        (this.#listeners.get(name) ?? []).filter((each) => each !== own),
      );
    };
  }

  emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) heeded(listener as (payload: Events[Name]) => void, payload);
  }
}

/** What a listener throws is the application's: it is thrown where nothing of ours is in the middle of something. */
function heeded<Payload>(listener: (payload: Payload) => void, payload: Payload): void {
  try {
    listener(payload);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
