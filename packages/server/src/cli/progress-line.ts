/** How long a line stands before the next one, where lines stay. */
const LINE_INTERVAL_MS = 2_000;
/** The same on a terminal, where it is written over. */
const TERMINAL_INTERVAL_MS = 100;

/** Where a long command is: on a terminal one line that is written over, else a line now and then. On stderr. */
export class ProgressLine {
  readonly #isTerminal = process.stderr.isTTY;
  #shownAt = performance.now();
  #isShown = false;

  show(text: string): void {
    const now = performance.now();
    if (now - this.#shownAt < (this.#isTerminal ? TERMINAL_INTERVAL_MS : LINE_INTERVAL_MS)) return;
    this.#shownAt = now;
    this.#isShown = true;
    process.stderr.write(this.#isTerminal ? `\r\u001b[K${text}` : `${text}\n`);
  }

  /** Before anything else is printed. */
  clear(): void {
    if (this.#isShown && this.#isTerminal) process.stderr.write('\r\u001b[K');
    this.#isShown = false;
  }
}
