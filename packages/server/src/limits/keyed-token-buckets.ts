import type { ChatError, RateLimit } from '@engawa/protocol';
import { TokenBucket } from './token-bucket.ts';

/** From so many on full buckets are looked for. */
const MIN_PRUNE_SIZE = 256;

/**
 * Token buckets by name, of one rate. Full ones are forgotten, which changes nothing; and when there are too many that are
 * not, those that were made first.
 */
export class KeyedTokenBuckets {
  readonly #rate: RateLimit;
  readonly #maxBuckets: number;
  readonly #buckets = new Map<string, TokenBucket>();
  #pruneAt = MIN_PRUNE_SIZE;

  constructor(rate: RateLimit, maxBuckets: number) {
    this.#rate = rate;
    this.#maxBuckets = maxBuckets;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes the tokens, or says why not. */
  takeOrError(name: string, tokens = 1): ChatError | undefined {
    return (this.#buckets.get(name) ?? this.#create(name)).takeOrError(tokens);
  }

  /** A token that was taken and not used. */
  refund(name: string): void {
    this.#buckets.get(name)?.refund(1);
  }

  /** Forgetting all of them changes nothing. */
  areAllFull(): boolean {
    this.#prune();
    return this.size === 0;
  }

  #create(name: string): TokenBucket {
    if (this.size >= this.#pruneAt) this.#prune();
    if (this.size >= this.#maxBuckets) this.#evictFirst();
    const bucket = new TokenBucket(this.#rate);
    this.#buckets.set(name, bucket);
    return bucket;
  }

  /** Next when they are twice as many: so each costs a look or two, however many there are. */
  #prune(): void {
    for (const [name, bucket] of this.#buckets) if (bucket.isFull()) this.#buckets.delete(name);
    this.#pruneAt = Math.max(MIN_PRUNE_SIZE, 2 * this.size);
  }

  #evictFirst(): void {
    for (const name of this.#buckets.keys()) {
      this.#buckets.delete(name);
      return;
    }
  }
}
