import type { Writable } from 'node:stream';
import { Failure } from '../failure.ts';
import { onReaderGone } from './pipe-reader.ts';

/** What waits for a reader that is slow: more than one answer of a server brings, and less than anybody's memory. */
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_LINES = 5_000;
/** The exit code when nobody reads any more: 128 and SIGPIPE. */
const UNREAD = 141;

/** Lines on their way to the standard output. */
export class Outlet {
  readonly #stream: Writable;
  #bytes = 0;
  #lines = 0;
  #waiting: { lines: number; resolve: () => void }[] = [];
  #onBroken: (failure: Failure) => void = () => undefined;
  /** Rejects when nobody reads any more, or nothing can be written. */
  readonly broken: Promise<never> = new Promise((_, reject) => {
    this.#onBroken = reject;
  });

  constructor(stream: Writable) {
    this.#stream = stream;
    this.broken.catch(() => undefined);
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#onBroken(error.code === 'EPIPE' ? new Failure('', UNREAD) : new Failure(`cannot write: ${error.message}`));
    });
    onReaderGone(stream, () => this.#onBroken(new Failure('', UNREAD)));
  }

  /** Whether so much waits that nothing more is to be fetched. */
  get isFull(): boolean {
    return this.#bytes > MAX_BYTES || this.#lines > MAX_LINES;
  }

  /** `taken` is called once whoever reads has it, or the system that keeps it for him. */
  put(line: string, taken?: () => void): void {
    const text = `${line}\n`;
    const size = Buffer.byteLength(text);
    this.#bytes += size;
    this.#lines += 1;
    this.#stream.write(text, (error) => {
      this.#bytes -= size;
      this.#lines -= 1;
      if (error) return;
      taken?.();
      const isDue = (each: { lines: number }) => this.#lines <= each.lines;
      for (const { resolve } of this.#waiting.filter(isDue)) resolve();
      this.#waiting = this.#waiting.filter((each) => !isDue(each));
    });
  }

  /** Resolves when no more than so many lines wait. */
  async drained(lines = 0): Promise<void> {
    if (this.#lines > lines) await new Promise<void>((resolve) => this.#waiting.push({ lines, resolve }));
  }
}
