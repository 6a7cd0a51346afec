/** A part of the network that can be cut off from the rest: a network namespace. Needs root, as in a container, and iproute2. */
import { execFileSync } from 'node:child_process';
import { onTestFinished } from 'vitest';

/** Where a server stands. */
export interface Place {
  /** How tests reach it, whatever is cut off. */
  host: string;
  /** How servers reach each other. */
  address: string;
  /** Begins the command that starts it. */
  within: string[];
}

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });

/** Two cables lead there: one for servers, which can be cut, and one for tests and clients, which stays. It ends with the test. */
export class Island {
  readonly island: Place;
  readonly mainland: Place;
  readonly #name: string;
  readonly #cable: string;

  constructor() {
    const number = Math.floor(Math.random() * 250) + 1;
    this.#name = `engawa-${process.pid}-${number}`;
    const [cable, door] = [`ew${number}c`, `ew${number}d`];
    this.#cable = `${cable}i`;
    const inside = (...args: string[]) => ip('-n', this.#name, ...args);
    const net = (kind: number, host: number) => `10.${kind}.${number}.${host}`;
    this.island = { host: net(78, 2), address: net(77, 2), within: ['ip', 'netns', 'exec', this.#name] };
    this.mainland = { host: '127.0.0.1', address: net(77, 1), within: [] };

    ip('netns', 'add', this.#name);
    onTestFinished(() => ip('netns', 'del', this.#name));
    for (const [name, kind] of [
      [cable, 77],
      [door, 78],
    ] as const) {
      ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}i`, 'netns', this.#name);
      onTestFinished(() => ip('link', 'del', name));
      ip('addr', 'add', `${net(kind, 1)}/30`, 'dev', name);
      ip('link', 'set', name, 'up');
      inside('addr', 'add', `${net(kind, 2)}/30`, 'dev', `${name}i`);
      inside('link', 'set', `${name}i`, 'up');
    }
    inside('link', 'set', 'lo', 'up');
    // So that those on the island reach each other when the cable is cut.
    inside('addr', 'add', `${this.island.address}/32`, 'dev', 'lo');
  }

  /** Nothing gets across, and nobody is told. */
  cut(): void {
    ip('-n', this.#name, 'link', 'set', this.#cable, 'down');
  }

  mend(): void {
    ip('-n', this.#name, 'link', 'set', this.#cable, 'up');
  }
}
