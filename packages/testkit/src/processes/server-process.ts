/** A server in a process of its own, which the test kills, stops or freezes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ServerOptions, StoreOptions } from '@engawa/server';
import { onTestFinished } from 'vitest';

import type { NetworkPlace } from '../network-namespace.ts';

import { storeFlags } from '../stores.ts';
import { STARTED_WITHIN_MS, withTimeout } from '../wait-for.ts';

const ENGAWA = [fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url)), 'serve', '--port', '0'];
const FAST_TIMERS = [fileURLToPath(new URL('fast-timers-server.js', import.meta.url))];

interface Options {
  /** Clients notice within a second that it does not answer. Or other options that operators cannot set. */
  fastTimers?: boolean | Pick<ServerOptions, 'graceMs' | 'absenceMs' | 'pingInterval' | 'pingTimeout'>;
  durability?: StoreOptions['durability'];
  /** The network that it runs in, if not this machine's. */
  networkPlace?: NetworkPlace;
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

  /** On a data folder, or on the Redis of a URL. */
  static async start(
    storeLocation: string,
    { fastTimers = false, durability = 'fast', networkPlace }: Options = {},
  ): Promise<ServerProcess> {
    const env = { ...process.env, ENGAWA_LIMITS: 'off', ENGAWA_LOG: 'error', ENGAWA_DURABILITY: durability };
    const args = fastTimers === false ? [...ENGAWA, ...storeFlags(storeLocation)] : [...FAST_TIMERS, storeLocation];
    if (typeof fastTimers === 'object') args.push(JSON.stringify(fastTimers));
    const [program = '', ...rest] = [...(networkPlace?.commandPrefix ?? []), process.execPath, ...args];
    const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const exited = once(child, 'exit') as ServerProcess['exited'];
    let output = '';
    const listening = new Promise<string>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => onOutput(String(text)));
      function onOutput(chunk: string): void {
        output += chunk;
        const url = /listening on (\S+)\n/.exec(output)?.[1];
        if (url !== undefined) resolve(url);
      }
      void exited.then(() => reject(new Error(`The server ended before it listened: ${output}`)));
    });
    const url = new URL(await withTimeout(listening, 'a server to listen', STARTED_WITHIN_MS));
    if (networkPlace) url.hostname = networkPlace.host;
    return new ServerProcess(child, exited, url.origin);
  }

  get exited(): Promise<[code: number | null, signal: NodeJS.Signals | null]> {
    return this.#exited;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Stops it as a deploy does. Returns its exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return (await withTimeout(this.#exited, 'a server to stop', 30_000))[0];
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }
}
