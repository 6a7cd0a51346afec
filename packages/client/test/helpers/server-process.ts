import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { within } from '../../../server/test/helpers/server.ts';

const ENGAWA = [fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url)), 'serve', '--port', '0', '--data-dir'];
const BRISK = [fileURLToPath(new URL('../../../server/test/helpers/brisk-server.js', import.meta.url))];

/** A server as an operator starts it, in a process of its own, which ends with the test. */
export class ServerProcess {
  readonly url: string;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>;

  private constructor(child: ChildProcess, exited: ServerProcess['exited'], url: string) {
    this.#child = child;
    this.#exited = exited;
    this.url = url;
    this.port = Number(new URL(url).port);
  }

  /** On a folder. `brisk`: its clients notice within a second when it says nothing. */
  static async start(folder: string, { brisk = false } = {}): Promise<ServerProcess> {
    const env = { ...process.env, ENGAWA_LIMITS: 'off', ENGAWA_LOG: 'error' };
    const child = spawn(process.execPath, [...(brisk ? BRISK : ENGAWA), folder], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const exited = once(child, 'exit') as ServerProcess['exited'];
    let said = '';
    const listening = new Promise<string>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => hear(String(text)));
      function hear(text: string): void {
        said += text;
        const url = /listening on (\S+)\n/.exec(said)?.[1];
        if (url !== undefined) resolve(url);
      }
      void exited.then(() => reject(new Error(`The server ended before it listened: ${said}`)));
    });
    return new ServerProcess(child, exited, await within(listening, 'a server to listen'));
  }

  get exited(): Promise<[code: number | null, signal: NodeJS.Signals | null]> {
    return this.#exited;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** As a deploy does; its exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return (await within(this.#exited, 'a server to stop', 30_000))[0];
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }
}
