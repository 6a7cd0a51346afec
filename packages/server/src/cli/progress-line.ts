/** The progress line of long commands, on stderr. */
/** Milliseconds between two lines when stderr is not a terminal. */
const LINE_INTERVAL_MS = 2_000;
/** Milliseconds between two updates on a terminal, where the line is overwritten. */
const TERMINAL_INTERVAL_MS = 100;

/**
 * Shows the progress of a long command on stderr: on a terminal one line that is overwritten, otherwise a new line from time to
 * time.
 */
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

  /** Call this before any other output. */
  clear(): void {
    if (this.#isShown && this.#isTerminal) process.stderr.write('\r\u001b[K');
    this.#isShown = false;
  }
}
