import { type IPty, spawn } from '@lydell/node-pty';
import headless from '@xterm/headless';

const SIZE = { cols: 100, rows: 30 };
const PATIENCE_MS = 60_000;

export interface Command {
  program: string;
  args: string[];
  env?: Record<string, string>;
}

/** A program in a terminal of its own, which a model of its screen reads. */
export class PtyWindow {
  readonly pid: number;
  readonly openedAt = performance.now();
  readonly #pty: IPty;
  readonly #screen = new headless.Terminal({ ...SIZE, allowProposedApi: true });
  readonly #lookers = new Set<() => void>();
  #hasEnded = false;

  constructor({ program, args, env = {} }: Command) {
    this.#pty = spawn(program, args, { ...SIZE, name: 'xterm-256color', env: { ...process.env, ...env } });
    this.pid = this.#pty.pid;
    this.#screen.onData((answer) => this.#pty.write(answer));
    this.#pty.onData((bytes) => this.#screen.write(bytes, () => this.#look()));
    this.#pty.onExit(() => {
      this.#hasEnded = true;
      this.#look();
    });
  }

  type(keys: string): void {
    this.#pty.write(keys);
  }

  text(): string {
    const { active } = this.#screen.buffer;
    return Array.from({ length: SIZE.rows }, (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? '').join('\n');
  }

  /** Resolves with the time at which it is seen. */
  waitForText(text: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const isSeen = this.text().includes(text);
        if (!isSeen && !this.#hasEnded) return;
        done();
        if (isSeen) resolve(performance.now());
        else reject(new Error(`The program ended before it showed ${text}:\n${this.text()}`));
      };
      const impatience = setTimeout(() => {
        done();
        reject(new Error(`The program does not show ${text}, but:\n${this.text()}`));
      }, PATIENCE_MS);
      const done = (): void => {
        clearTimeout(impatience);
        this.#lookers.delete(look);
      };
      this.#lookers.add(look);
      look();
    });
  }

  close(): void {
    if (!this.#hasEnded) this.#pty.kill('SIGKILL');
    this.#screen.dispose();
  }

  #look(): void {
    for (const look of this.#lookers) look();
  }
}
