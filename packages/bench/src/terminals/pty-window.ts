// A program in a pseudo-terminal, with a model of its screen.
import { type IPty, spawn } from '@lydell/node-pty';
import headless from '@xterm/headless';

const SIZE = { cols: 100, rows: 30 };
const DEADLINE_MS = 60_000;

export interface Command {
  program: string;
  args: string[];
  env?: Record<string, string>;
}

export class PtyWindow {
  readonly pid: number;
  readonly openedAt = performance.now();
  readonly #pty: IPty;
  readonly #screen = new headless.Terminal({ ...SIZE, allowProposedApi: true });
  readonly #waiting = new Set<() => void>();
  #hasExited = false;

  constructor({ program, args, env = {} }: Command) {
    this.#pty = spawn(program, args, { ...SIZE, name: 'xterm-256color', env: { ...process.env, ...env } });
    this.pid = this.#pty.pid;
    this.#screen.onData((answer) => this.#pty.write(answer));
    this.#pty.onData((bytes) => this.#screen.write(bytes, () => this.#check()));
    this.#pty.onExit(() => {
      this.#hasExited = true;
      this.#check();
    });
  }

  type(keys: string): void {
    this.#pty.write(keys);
  }

  text(): string {
    const { active } = this.#screen.buffer;
    return Array.from({ length: SIZE.rows }, (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? '').join('\n');
  }

  /** Resolves with the time at which the text is on the screen. */
  waitForText(text: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const isShown = this.text().includes(text);
        if (!isShown && !this.#hasExited) return;
        done();
        if (isShown) resolve(performance.now());
        else reject(new Error(`The program exited before it showed ${text}:\n${this.text()}`));
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`The program does not show ${text}, but:\n${this.text()}`));
      }, DEADLINE_MS);
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(check);
      };
      this.#waiting.add(check);
      check();
    });
  }

  close(): void {
    if (!this.#hasExited) this.#pty.kill('SIGKILL');
    this.#screen.dispose();
  }

  #check(): void {
    for (const check of this.#waiting) check();
  }
}
