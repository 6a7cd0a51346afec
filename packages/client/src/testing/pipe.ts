/** One direction of an in-memory connection, which delays, loses, repeats and reorders packets. */
import type { Faults } from './faults.ts';
import { type Random, randomBetween } from './random.ts';

const encoder = new TextEncoder();

/** Packets arrive in order, except those that `reorder` selects. */
export class Pipe<Packet> {
  readonly #faults: () => Faults;
  readonly #random: Random;
  readonly #deliver: (packet: Packet) => void;
  readonly #inFlight = new Set<ReturnType<typeof setTimeout>>();
  #lastArrival = 0;
  /** When the bandwidth limit lets the next packet start. */
  #lineFreeAt = 0;

  constructor({ faults, random, deliver }: { faults: () => Faults; random: Random; deliver: (packet: Packet) => void }) {
    this.#faults = faults;
    this.#random = random;
    this.#deliver = deliver;
  }

  send(packet: Packet): void {
    const { lose, duplicate } = this.#faults();
    if (this.#random() < lose) return;
    this.#sendOne(packet);
    if (this.#random() < duplicate) this.#sendOne(packet);
  }

  /** Drops the packets in flight. */
  cut(): void {
    for (const timer of this.#inFlight) clearTimeout(timer);
    this.#inFlight.clear();
  }

  #sendOne(packet: Packet): void {
    const { delayMs, reorder, bytesPerSecond = Infinity } = this.#faults();
    const now = Date.now();
    const isReordered = this.#random() < reorder;
    const transmitMs = bytesPerSecond < Infinity ? (1_000 * encoder.encode(JSON.stringify(packet)).length) / bytesPerSecond : 0;
    this.#lineFreeAt = Math.max(now, this.#lineFreeAt) + transmitMs;
    const earliest = this.#lineFreeAt + randomBetween(this.#random, delayMs);
    const arrival = isReordered ? earliest + randomBetween(this.#random, [1, 1 + 2 * delayMs[1]]) : Math.max(earliest, this.#lastArrival);
    if (!isReordered) this.#lastArrival = arrival;
    const timer = setTimeout(() => {
      this.#inFlight.delete(timer);
      this.#deliver(packet);
    }, arrival - now);
    this.#inFlight.add(timer);
  }
}
