// Counts the lines of standard input when it is a regular file.
import { createReadStream, fstatSync } from 'node:fs';

const LINE_BREAK = 0x0a;

/** Undefined for a pipe. Does not change the read position of the descriptor. */
export async function countStdinLines(stdin: NodeJS.ReadStream): Promise<number | undefined> {
  const { fd } = stdin as { fd?: unknown };
  try {
    if (typeof fd !== 'number' || !fstatSync(fd).isFile()) return undefined;
    let lines = 0;
    let last = LINE_BREAK;
    // With `start`, it reads at explicit offsets.
    for await (const chunk of createReadStream('', { fd, start: 0, autoClose: false }) as AsyncIterable<Buffer>) {
      for (let at = chunk.indexOf(LINE_BREAK); at >= 0; at = chunk.indexOf(LINE_BREAK, at + 1)) lines += 1;
      last = chunk.at(-1) ?? last;
    }
    return last === LINE_BREAK ? lines : lines + 1;
  } catch {
    return undefined;
  }
}
