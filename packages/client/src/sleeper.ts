/** Waits that all end at once when it is closed. */
export class Sleeper {
  readonly #waits = new Map<() => void, ReturnType<typeof setTimeout>>();
  #isClosed = false;

  sleep(milliseconds: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#waits.delete(wake);
        resolve();
      };
      this.#waits.set(wake, setTimeout(wake, milliseconds));
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const [wake, timer] of this.#waits) {
      clearTimeout(timer);
      wake();
    }
  }
}
