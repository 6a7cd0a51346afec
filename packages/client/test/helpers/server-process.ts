import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ServerOptions, StoreOptions } from '@engawa/server';
import { onTestFinished } from 'vitest';

import type { Place } from '../../../server/test/helpers/island.ts';

import { flagsFor } from '../../../server/test/helpers/stores.ts';
import { STARTED_WITHIN_MS, within } from '../../../server/test/helpers/waiting.ts';

const ENGAWA = [fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url)), 'serve', '--port', '0'];
const BRISK = [fileURLToPath(new URL('../../../server/test/helpers/brisk-server.js', import.meta.url))];

interface Options {
  /** Its clients notice within a second when it says nothing; or what else of a server is to be as no operator sets it. */
  brisk?: boolean | Pick<ServerOptions, 'grace' | 'absence' | 'pingInterval' | 'pingTimeout'>;
  durability?: StoreOptions['durability'];
  /** Where it stands, if not on this machine and in its network. */
  place?: Place;
}

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

  /** On a folder, or on the Redis of a URL. */
  static async start(where: string, { brisk = false, durability = 'fast', place }: Options = {}): Promise<ServerProcess> {
    const env = { ...process.env, ENGAWA_LIMITS: 'off', ENGAWA_LOG: 'error', ENGAWA_DURABILITY: durability };
    const args = brisk === false ? [...ENGAWA, ...flagsFor(where)] : [...BRISK, where];
    if (typeof brisk === 'object') args.push(JSON.stringify(brisk));
    const [program = '', ...rest] = [...(place?.within ?? []), process.execPath, ...args];
    const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
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
    const url = new URL(await within(listening, 'a server to listen', STARTED_WITHIN_MS));
    if (place) url.hostname = place.host;
    return new ServerProcess(child, exited, url.origin);
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
