// Shows the progress on standard error.
import type { WriteStream } from 'node:tty';

const MINUTE_MS = 60_000;
const CLEAR = '\r\u001b[K';

export interface Progress {
  /** Sets the name that the following lines begin with. */
  begin: (name: string) => void;
  say: (text: string) => void;
  end: () => void;
}

/** On a terminal one line that is overwritten; elsewhere a line for each text. */
export function progressOn(stream: Pick<WriteStream, 'write'> & { isTTY?: boolean; columns?: number }): Progress {
  const begun = performance.now();
  let name = '';

  function show(text: string): void {
    const line = [elapsed(performance.now() - begun), name, text].filter(Boolean).join('  ');
    stream.write(stream.isTTY ? CLEAR + line.slice(0, (stream.columns ?? 80) - 1) : `${line}\n`);
  }
  return {
    begin(next) {
      name = next;
      show('');
    },
    say: show,
    end() {
      if (stream.isTTY) stream.write(CLEAR);
    },
  };
}

const elapsed = (milliseconds: number): string =>
  `${Math.floor(milliseconds / MINUTE_MS)}:${Math.floor((milliseconds % MINUTE_MS) / 1000)
    .toString()
    .padStart(2, '0')}`;
