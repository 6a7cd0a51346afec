import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from './raw-client.ts';

const TEXT_BYTES = 100;
/** One connection is served one chat after the other. */
const CONNECTIONS = 50;
/** Chats that are said in one breath, over all connections. */
const AT_ONCE = 500;
const NUMBER = /"message":"(\d+) /;

/** Says numbered chats to a room, as its owner, and hears in which order the room has them. */
export class NumberedSender {
  readonly #place: { roomId: string; username: string };
  readonly #session = randomBytes(24).toString('base64url');
  readonly #places = new Map<number, number>();
  #clients: RawClient[] = [];
  #said = 0;

  constructor(roomId: string) {
    this.#place = { roomId, username: 'speaker' };
  }

  async openRoom(url: string): Promise<void> {
    await (await this.#connect(url)).ask('create:room', this.#place);
  }

  /** To the room as it is after a restart. */
  async rejoin(url: string): Promise<void> {
    await (await this.#connect(url)).ask('add:member', this.#place);
  }

  /** Resolves when he has heard them himself: by then the server has done all that it does for a chat. */
  async send(chats: number): Promise<void> {
    for (let left = chats; left > 0; left -= AT_ONCE) await this.#sayAtOnce(Math.min(left, AT_ONCE));
  }

  /** Where in the room a chat is, from 0. */
  positionOf(text: string): number {
    return this.#places.get(Number.parseInt(text, 10)) ?? Number.NaN;
  }

  leave(): void {
    for (const client of this.#clients) client.close();
  }

  /** The first of the connections is the one that joins, and hears. */
  async #connect(url: string): Promise<RawClient> {
    this.leave();
    const auth = { session: this.#session };
    const first = await RawClient.connect(url, auth, (frame) => this.#hear(frame));
    const others = Array.from({ length: CONNECTIONS - 1 }, () => RawClient.connect(url, auth));
    this.#clients = [first, ...(await Promise.all(others))];
    return first;
  }

  #hear(frame: Buffer): void {
    const [, number] = NUMBER.exec(frame.toString('latin1')) ?? [];
    if (number !== undefined) this.#places.set(Number(number), this.#places.size);
  }

  async #sayAtOnce(chats: number): Promise<void> {
    const numbers = Array.from({ length: chats }, (_, index) => this.#said + index);
    this.#said += chats;
    await Promise.all(numbers.map((number) => this.#sayOne(number)));
    while (this.#places.size < this.#said) await sleep(1);
  }

  async #sayOne(number: number): Promise<void> {
    const message = `${number} `.padEnd(TEXT_BYTES, 'x');
    await this.#clients[number % this.#clients.length]?.ask('create:chat', { ...this.#place, message });
  }
}

/** What came of the chats from a place on. */
export class SequenceCheck {
  /** Those that came after all that had come before them. */
  inOrder = 0;
  repeated = 0;
  lastAt = Number.NaN;
  readonly #seen = new Set<number>();
  #next: number;

  constructor(from: number) {
    this.#next = from;
  }

  count(place: number): void {
    if (this.#seen.has(place)) this.repeated += 1;
    if (place >= this.#next) {
      this.inOrder += 1;
      this.#next = place + 1;
    }
    this.#seen.add(place);
    this.lastAt = performance.now();
  }
}
