/** A part of the network that can be cut off from the rest: a network namespace. Needs root, as in a container, and iproute2. */
import { execFileSync } from 'node:child_process';
import { onTestFinished } from 'vitest';

/** The network of a server. */
export interface NetworkPlace {
  /** The address for tests, which is never cut off. */
  host: string;
  /** How servers reach each other. */
  peerAddress: string;
  /** The prefix of the command that starts it. */
  commandPrefix: string[];
}

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });

/** Two links lead there: one for servers, which can be cut, and one for tests and clients, which stays. It ends with the test. */
export class NetworkNamespace {
  readonly inside: NetworkPlace;
  readonly outside: NetworkPlace;
  readonly #name: string;
  readonly #peerInterface: string;

  constructor() {
    const number = Math.floor(Math.random() * 250) + 1;
    this.#name = `engawa-${process.pid}-${number}`;
    const [peerLink, testLink] = [`ew${number}c`, `ew${number}d`];
    this.#peerInterface = `${peerLink}i`;
    const ipInside = (...args: string[]) => ip('-n', this.#name, ...args);
    const net = (kind: number, host: number) => `10.${kind}.${number}.${host}`;
    this.inside = { host: net(78, 2), peerAddress: net(77, 2), commandPrefix: ['ip', 'netns', 'exec', this.#name] };
    this.outside = { host: '127.0.0.1', peerAddress: net(77, 1), commandPrefix: [] };

    ip('netns', 'add', this.#name);
    onTestFinished(() => ip('netns', 'del', this.#name));
    for (const [name, kind] of [
      [peerLink, 77],
      [testLink, 78],
    ] as const) {
      ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}i`, 'netns', this.#name);
      onTestFinished(() => ip('link', 'del', name));
      ip('addr', 'add', `${net(kind, 1)}/30`, 'dev', name);
      ip('link', 'set', name, 'up');
      ipInside('addr', 'add', `${net(kind, 2)}/30`, 'dev', `${name}i`);
      ipInside('link', 'set', `${name}i`, 'up');
    }
    ipInside('link', 'set', 'lo', 'up');
    // So that processes in the namespace reach each other while the link is down.
    ipInside('addr', 'add', `${this.inside.peerAddress}/32`, 'dev', 'lo');
  }

  /** No packet passes, and no connection is reset. */
  partition(): void {
    ip('-n', this.#name, 'link', 'set', this.#peerInterface, 'down');
  }

  heal(): void {
    ip('-n', this.#name, 'link', 'set', this.#peerInterface, 'up');
  }
}
