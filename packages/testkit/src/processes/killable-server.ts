import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { storeFlags } from '../stores.ts';

const PROGRAM = fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url));

/** `engawa serve` on a free port, as an operator starts it. */
export class ServerProcess {
  /** Resolves with the address once it takes connections. */
  readonly listening: Promise<string>;
  stderr = '';
  readonly #child: ChildProcess;
  readonly #exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>;

  constructor(storeLocation: string, flags: string[] = []) {
    const args = [PROGRAM, 'serve', '--port', '0', '--host', '127.0.0.1', ...storeFlags(storeLocation), ...flags];
    const env = { ...process.env, ENGAWA_LIMITS: 'off', ENGAWA_LOG: 'silent' };
    this.#child = spawn(process.execPath, args, { cwd: tmpdir(), env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#exited = once(this.#child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    this.#child.stderr?.on('data', (text: Buffer) => (this.stderr += String(text)));
    this.listening = this.#waitForUrl();
    this.listening.catch(() => undefined);
  }

  /** Bytes of memory that it takes up; 0 once it has ended. */
  get memoryBytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    const [, signal] = await this.#exited;
    if (signal !== 'SIGKILL') throw new Error(`The server ended by itself. ${this.stderr}`);
  }

  /** Told to stop; resolves with its exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    const [code] = await this.#exited;
    return code;
  }

  #waitForUrl(): Promise<string> {
    let output = '';
    return new Promise((resolve, reject) => {
      this.#child.stdout?.on('data', (text: Buffer) => {
        output += String(text);
        const url = /Engawa is listening on (\S+)\n/.exec(output)?.[1];
        if (url !== undefined) resolve(url);
      });
      this.#child.once('exit', () => reject(new Error(`The server ended before it listened. ${this.stderr}`)));
    });
  }
}
