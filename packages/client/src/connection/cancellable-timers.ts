/** Timers that all end at once when they are cancelled. */

/** After `close`, every pending `sleep` resolves, and later ones resolve at once. */
export class CancellableTimers {
  readonly #pending = new Map<() => void, ReturnType<typeof setTimeout>>();
  #isClosed = false;

  readonly sleep = async (milliseconds: number): Promise<void> => {
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#pending.delete(wake);
        resolve();
      };
      this.#pending.set(wake, setTimeout(wake, milliseconds));
    });
  };

  close(): void {
    this.#isClosed = true;
    for (const [wake, timer] of this.#pending) {
      clearTimeout(timer);
      wake();
    }
  }
}
