/** The bytes that one answer may take as JSON, all of its parts together. */
import { LIMITS } from '@engawa/protocol';

/** Of the frame of an answer: Python's `websockets`, by default, ends a connection over a larger one. */
const FRAME_BYTES = 1024 * 1024;
/** For what an answer says beside its parts. */
const ENVELOPE_BYTES = 16 * 1024;

/** Known before anything is read: whatever a question asks for, its answer takes no more memory. */
export const ANSWER_BYTES = FRAME_BYTES - ENVELOPE_BYTES;

/** A chat at most, as JSON: its text, its reactions, and all else that is said of it. */
export const CHAT_BYTES = LIMITS.textBytes + 8 * 1024;

export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** What is left of an answer, from its first part to its last. */
export class AnswerBudget {
  #left: number;
  readonly #all: number;

  constructor(bytes = ANSWER_BYTES) {
    this.#all = bytes;
    this.#left = bytes;
  }

  /** Whether so much is left, or half of what there was. */
  has(bytes: number): boolean {
    return this.#left >= Math.min(bytes, this.#all / 2);
  }

  get left(): number {
    return this.#left;
  }

  take(bytes: number): void {
    this.#left -= bytes;
  }

  /** What is left, or less where less was asked for. */
  upTo(bytes = this.#left): AnswerBudget {
    return new AnswerBudget(Math.min(bytes, this.#left));
  }

  /** Half of what is left, for parts that must not take all of it. What is not used of it is lost. */
  half(): AnswerBudget {
    const half = new AnswerBudget(Math.floor(this.#left / 2));
    this.take(half.left);
    return half;
  }

  /** As many of the items as there are bytes left for, in their order, and the first in any case; what they take is taken. */
  fill<Item>(items: Item[], bytesOf: (item: Item) => number = jsonBytes): Item[] {
    for (const [index, item] of items.entries()) {
      const bytes = bytesOf(item);
      if (index > 0 && bytes > this.#left) return items.slice(0, index);
      this.#left -= bytes;
    }
    return items;
  }
}
