/** The bytes that one answer may take as JSON, all of its parts together. */
import { LIMITS } from '@engawa/protocol';

/** Of the frame of an answer: Python's `websockets`, by default, ends a connection over a larger one. */
const MAX_FRAME_BYTES = 1024 * 1024;
/** For what an answer says beside its parts. */
const ENVELOPE_BYTES = 16 * 1024;

/** Known before anything is read: whatever a question asks for, its answer takes no more memory. */
export const MAX_RESPONSE_BYTES = MAX_FRAME_BYTES - ENVELOPE_BYTES;

/** A chat at most, as JSON: its text, its reactions, and all else that is said of it. */
export const MAX_CHAT_BYTES = LIMITS.textBytes + 8 * 1024;

export const jsonByteLength = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** What is left of an answer, from its first part to its last. */
export class ResponseBudget {
  #remaining: number;
  readonly #total: number;

  constructor(bytes = MAX_RESPONSE_BYTES) {
    this.#total = bytes;
    this.#remaining = bytes;
  }

  /** Whether so much is left, or half of what there was. */
  hasBytes(bytes: number): boolean {
    return this.#remaining >= Math.min(bytes, this.#total / 2);
  }

  get remaining(): number {
    return this.#remaining;
  }

  take(bytes: number): void {
    this.#remaining -= bytes;
  }

  /** What is left, or less where less was asked for. */
  limitedTo(bytes = this.#remaining): ResponseBudget {
    return new ResponseBudget(Math.min(bytes, this.#remaining));
  }

  /** Half of what is left, for parts that must not take all of it. What is not used of it is lost. */
  takeHalf(): ResponseBudget {
    const half = new ResponseBudget(Math.floor(this.#remaining / 2));
    this.take(half.remaining);
    return half;
  }

  /** As many of the items as there are bytes left for, in their order, and the first in any case; what they take is taken. */
  takeFitting<Item>(items: Item[], bytesOf: (item: Item) => number = jsonByteLength): Item[] {
    for (const [index, item] of items.entries()) {
      const bytes = bytesOf(item);
      if (index > 0 && bytes > this.#remaining) return items.slice(0, index);
      this.#remaining -= bytes;
    }
    return items;
  }
}
