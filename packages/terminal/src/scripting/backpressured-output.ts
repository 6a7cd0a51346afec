// Line output with back-pressure: tells when the reader of standard output is slow or gone.
import type { Writable } from 'node:stream';
import { CliError } from '../command-line/cli-error.ts';
import { onPipeReaderClosed } from './closed-pipe.ts';

/** Buffer limits for a slow reader: more than one page of a server, and small compared to the memory of a machine. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const MAX_BUFFERED_LINES = 5_000;
/** Exit code when the reader of the output is gone: 128 + SIGPIPE. */
const BROKEN_PIPE_EXIT_CODE = 141;

export class BackpressuredOutput {
  readonly #stream: Writable;
  #bufferedBytes = 0;
  #bufferedLines = 0;
  #drainWaiters: { lines: number; resolve: () => void }[] = [];
  #rejectBroken: (failure: CliError) => void = () => undefined;
  /** Rejects when the reader is gone or a write fails. */
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

  /** Whether the buffer is full, so that no more should be fetched. */
  get isFull(): boolean {
    return this.#bufferedBytes > MAX_BUFFERED_BYTES || this.#bufferedLines > MAX_BUFFERED_LINES;
  }

  /** `onWritten` is called once the reader, or the operating system for it, has taken the line. */
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

  /** Resolves when at most `lines` lines are buffered. */
  async waitForDrain(lines = 0): Promise<void> {
    if (this.#bufferedLines > lines) await new Promise<void>((resolve) => this.#drainWaiters.push({ lines, resolve }));
  }
}
