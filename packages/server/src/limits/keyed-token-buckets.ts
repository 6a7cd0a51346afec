/** Token buckets by key, all with the same rate, with a bound on their number. */
import type { ChatError, RateLimit } from '@engawa/protocol';
import { TokenBucket } from './token-bucket.ts';

/** Full buckets are pruned once there are this many. */
const MIN_PRUNE_SIZE = 256;

/**
 * Token buckets by name, all with the same rate. Full buckets are dropped, which loses no state. If too many others remain, the
 * oldest are dropped.
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

  /** Takes the tokens, or returns the error that refuses them. */
  takeOrError(name: string, tokens = 1): ChatError | undefined {
    return (this.#buckets.get(name) ?? this.#create(name)).takeOrError(tokens);
  }

  /** Returns a token that was not used. */
  refund(name: string): void {
    this.#buckets.get(name)?.refund(1);
  }

  /** Whether all buckets can be dropped without losing state. */
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

  /** Prunes again at twice the remaining number: so the cost for each bucket is constant, however many there are. */
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
