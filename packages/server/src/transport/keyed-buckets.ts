import type { ChatError, Rate } from '@engawa/protocol';
import { Bucket } from './rates.ts';

/** From so many on full buckets are looked for. */
const FEW = 256;

/**
 * Token buckets by name, of one rate. Full ones are forgotten, which changes nothing; and when there are too many that are
 * not, those that were made first.
 */
export class KeyedBuckets {
  readonly #rate: Rate;
  readonly #most: number;
  readonly #buckets = new Map<string, Bucket>();
  #pruneAt = FEW;

  constructor(rate: Rate, most: number) {
    this.#rate = rate;
    this.#most = most;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes the tokens, or says why not. */
  refusal(name: string, tokens = 1): ChatError | undefined {
    return (this.#buckets.get(name) ?? this.#make(name)).refusal(tokens);
  }

  /** A token that was taken and not used. */
  giveBack(name: string): void {
    this.#buckets.get(name)?.giveBack(1);
  }

  /** Forgetting all of them changes nothing. */
  areFull(): boolean {
    this.#prune();
    return this.size === 0;
  }

  #make(name: string): Bucket {
    if (this.size >= this.#pruneAt) this.#prune();
    if (this.size >= this.#most) this.#forgetFirst();
    const bucket = new Bucket(this.#rate);
    this.#buckets.set(name, bucket);
    return bucket;
  }

  /** Next when they are twice as many: so each costs a look or two, however many there are. */
  #prune(): void {
    for (const [name, bucket] of this.#buckets) if (bucket.isFull()) this.#buckets.delete(name);
    this.#pruneAt = Math.max(FEW, 2 * this.size);
  }

  #forgetFirst(): void {
    for (const name of this.#buckets.keys()) {
      this.#buckets.delete(name);
      return;
    }
  }
}
