/** A token bucket in two numbers: the tokens that were left, and when. */
import { ChatError, type RateLimit } from '@engawa/protocol';

/** Tokens refill continuously at the rate, up to its burst. */
export class TokenBucket {
  readonly #rate: RateLimit;
  #tokens: number;
  #updatedAt: number;

  constructor(rate: RateLimit, now = performance.now()) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#updatedAt = now;
  }

  /** Takes the tokens, or throws the error that refuses them. */
  takeOrThrow(tokens = 1, now = performance.now()): void {
    const refusal = this.takeOrError(tokens, now);
    if (refusal) throw refusal;
  }

  /** Takes the tokens, or returns an error with the milliseconds until there are enough. There are never more than `burst`. */
  takeOrError(tokens = 1, now = performance.now()): ChatError | undefined {
    if (this.tryTake(tokens, now)) return undefined;
    return new ChatError('rate_limited', { retryAfterMs: Math.ceil(((tokens - this.#tokens) / this.#rate.perSecond) * 1000) });
  }

  /** Takes the tokens if there are enough. */
  tryTake(tokens = 1, now = performance.now()): boolean {
    const isAvailable = this.hasTokens(tokens, now);
    if (isAvailable) this.#tokens -= tokens;
    return isAvailable;
  }

  hasTokens(tokens = 1, now = performance.now()): boolean {
    this.#refill(now);
    return this.#tokens >= tokens;
  }

  /** Whether more than half of the burst is available: optional work then leaves the rest to required work. */
  isOverHalfFull(now = performance.now()): boolean {
    return this.hasTokens(this.#rate.burst / 2, now);
  }

  /** Takes the tokens even if there are not enough. Later calls pay the debt. */
  spend(tokens = 1, now = performance.now()): void {
    this.#refill(now);
    this.#tokens -= tokens;
  }

  /** Milliseconds until there is a token; 0 if there is one. */
  msUntilToken(now = performance.now()): number {
    this.#refill(now);
    return Math.max(Math.ceil(((1 - this.#tokens) / this.#rate.perSecond) * 1000), 0);
  }

  /** Returns tokens that were not used. */
  refund(tokens: number, now = performance.now()): void {
    this.#refill(now);
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + tokens);
  }

  /** A full bucket can be dropped without losing state. */
  isFull(now = performance.now()): boolean {
    this.#refill(now);
    return this.#tokens === this.#rate.burst;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + ((now - this.#updatedAt) / 1000) * this.#rate.perSecond);
    this.#updatedAt = now;
  }
}
