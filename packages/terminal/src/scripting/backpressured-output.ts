import type { Writable } from 'node:stream';
import { CliError } from '../command-line/cli-error.ts';
import { onPipeReaderClosed } from './closed-pipe.ts';

/** What waits for a reader that is slow: more than one answer of a server brings, and less than anybody's memory. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const MAX_BUFFERED_LINES = 5_000;
/** The exit code when nobody reads any more: 128 and SIGPIPE. */
const BROKEN_PIPE_EXIT_CODE = 141;

/** Lines on their way to the standard output. */
export class BackpressuredOutput {
  readonly #stream: Writable;
  #bufferedBytes = 0;
  #bufferedLines = 0;
  #drainWaiters: { lines: number; resolve: () => void }[] = [];
  #rejectBroken: (failure: CliError) => void = () => undefined;
  /** Rejects when nobody reads any more, or nothing can be written. */
  readonly broken: Promise<never> = new Promise((_, reject) => {
    this.#rejectBroken = reject;
  });

  constructor(stream: Writable) {
    this.#stream = stream;
    this.broken.catch(() => undefined);
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#rejectBroken(error.code === 'EPIPE' ? new CliError('', BROKEN_PIPE_EXIT_CODE) : new CliError(`cannot write: ${error.message}`));
    });
    onPipeReaderClosed(stream, () => this.#rejectBroken(new CliError('', BROKEN_PIPE_EXIT_CODE)));
  }

  /** Whether so much waits that nothing more is to be fetched. */
  get isFull(): boolean {
    return this.#bufferedBytes > MAX_BUFFERED_BYTES || this.#bufferedLines > MAX_BUFFERED_LINES;
  }

  /** `taken` is called once whoever reads has it, or the system that keeps it for him. */
  writeLine(line: string, onWritten?: () => void): void {
    const text = `${line}\n`;
    const size = Buffer.byteLength(text);
    this.#bufferedBytes += size;
    this.#bufferedLines += 1;
    this.#stream.write(text, (error) => {
      this.#bufferedBytes -= size;
      this.#bufferedLines -= 1;
      if (error) return;
      onWritten?.();
      const isDue = (each: { lines: number }) => this.#bufferedLines <= each.lines;
      for (const { resolve } of this.#drainWaiters.filter(isDue)) resolve();
      this.#drainWaiters = this.#drainWaiters.filter((each) => !isDue(each));
    });
  }

  /** Resolves when no more than so many lines wait. */
  async waitForDrain(lines = 0): Promise<void> {
    if (this.#bufferedLines > lines) await new Promise<void>((resolve) => this.#drainWaiters.push({ lines, resolve }));
  }
}
