/** The byte budget of one response: how many bytes all of its parts may take as JSON together. */
import { LIMITS } from '@engawa/protocol';

/** Largest frame of a response: Python's `websockets`, by default, closes the connection if a frame is larger. */
const MAX_FRAME_BYTES = 1024 * 1024;
/** Reserved for the fields of a response beside its parts. */
const ENVELOPE_BYTES = 16 * 1024;

/** A fixed limit: whatever a query asks for, its response takes no more memory than this. */
export const MAX_RESPONSE_BYTES = MAX_FRAME_BYTES - ENVELOPE_BYTES;

/** Largest size of a chat as JSON: its text, its reactions, and its other fields. */
export const MAX_CHAT_BYTES = LIMITS.textBytes + 8 * 1024;

export const jsonByteLength = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** The bytes that remain for the parts of a response. */
export class ResponseBudget {
  #remaining: number;
  readonly #total: number;

  constructor(bytes = MAX_RESPONSE_BYTES) {
    this.#total = bytes;
    this.#remaining = bytes;
  }

  /** Whether this many bytes remain, or half of the total. */
  hasBytes(bytes: number): boolean {
    return this.#remaining >= Math.min(bytes, this.#total / 2);
  }

  get remaining(): number {
    return this.#remaining;
  }

  take(bytes: number): void {
    this.#remaining -= bytes;
  }

  /** A budget of at most `bytes`. */
  limitedTo(bytes = this.#remaining): ResponseBudget {
    return new ResponseBudget(Math.min(bytes, this.#remaining));
  }

  /**
   * Splits off half of the remaining bytes, for parts that must not take all of them. Unused bytes of that half are not returned.
   */
  takeHalf(): ResponseBudget {
    const half = new ResponseBudget(Math.floor(this.#remaining / 2));
    this.take(half.remaining);
    return half;
  }

  /** Takes items in order as long as they fit, but at least the first, and subtracts their bytes. */
  takeFitting<Item>(items: Item[], bytesOf: (item: Item) => number = jsonByteLength): Item[] {
    for (const [index, item] of items.entries()) {
      const bytes = bytesOf(item);
      if (index > 0 && bytes > this.#remaining) return items.slice(0, index);
      this.#remaining -= bytes;
    }
    return items;
  }
}
