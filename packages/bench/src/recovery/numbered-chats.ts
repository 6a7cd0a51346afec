// Sends numbered chats to a room, and checks in which order a reader receives them.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { runConcurrently } from '../generator/run-concurrently.ts';
import { connectTo, type SocketIoClient } from '../generator/socketio-client.ts';

const TEXT_BYTES = 100;
/** The server handles the chats of a connection one after the other. */
const CONNECTIONS = 50;
const CONCURRENCY = 500;
const NUMBER = /"message":"(\d+) /;

/** The owner of a room. */
export class NumberedSender {
  readonly #place: { roomId: string; username: string };
  readonly #auth = { session: randomBytes(24).toString('base64url') };
  /** By the number of a chat: its place in the room. */
  readonly #places = new Map<number, number>();
  #clients: SocketIoClient[] = [];
  #sent = 0;

  constructor(roomId: string) {
    this.#place = { roomId, username: 'sender' };
  }

  async createRoom(url: string): Promise<void> {
    await (await this.#connect(url)).request('create:room', this.#place);
  }

  /** After a restart of the server. */
  async rejoin(url: string): Promise<void> {
    await (await this.#connect(url)).request('add:member', this.#place);
  }

  /** Resolves when the sender has received them: the server has then done all that it does for a chat. */
  async send(chats: number): Promise<void> {
    const numbers = Array.from({ length: chats }, (_, index) => this.#sent + index);
    this.#sent += chats;
    await runConcurrently(numbers, { concurrency: CONCURRENCY }, (number) => this.#sendOne(number));
    while (this.#places.size < this.#sent) await sleep(1);
  }

  /** The place of a chat in the room, from 0. */
  placeOf(text: string): number {
    return this.#places.get(Number.parseInt(text, 10)) ?? Number.NaN;
  }

  leave(): void {
    for (const client of this.#clients) client.end();
  }

  /** The first connection is the one that joins, and receives. */
  async #connect(url: string): Promise<SocketIoClient> {
    this.leave();
    const first = await connectTo(url, { auth: this.#auth, onEvent: (packet) => this.#receive(packet) });
    const others = Array.from({ length: CONNECTIONS - 1 }, () => connectTo(url, { auth: this.#auth }));
    this.#clients = [first, ...(await Promise.all(others))];
    return first;
  }

  #receive(packet: string): void {
    const [, number] = NUMBER.exec(packet) ?? [];
    if (number !== undefined) this.#places.set(Number(number), this.#places.size);
  }

  async #sendOne(number: number): Promise<void> {
    const message = `${number} `.padEnd(TEXT_BYTES, 'x');
    await this.#clients[number % this.#clients.length]?.request('create:chat', { ...this.#place, message });
  }
}

/** Counts the chats from a place on. */
export class SequenceCheck {
  /** Chats that arrived after all earlier ones that arrived. */
  inOrder = 0;
  repeated = 0;
  lastAt = Number.NaN;
  readonly #seen = new Set<number>();
  #next: number;

  constructor(from: number) {
    this.#next = from;
  }

  add(place: number): void {
    if (this.#seen.has(place)) this.repeated += 1;
    if (place >= this.#next) {
      this.inOrder += 1;
      this.#next = place + 1;
    }
    this.#seen.add(place);
    this.lastAt = performance.now();
  }
}
