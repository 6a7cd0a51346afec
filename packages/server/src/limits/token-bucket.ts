import { ChatError, type RateLimit } from '@engawa/protocol';

/** A token bucket in two numbers: what was left, and when. */
export class TokenBucket {
  readonly #rate: RateLimit;
  #tokens: number;
  #updatedAt: number;

  constructor(rate: RateLimit, now = performance.now()) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#updatedAt = now;
  }

  /** Takes the tokens, or throws the refusal. */
  takeOrThrow(tokens = 1, now = performance.now()): void {
    const refusal = this.takeOrError(tokens, now);
    if (refusal) throw refusal;
  }

  /** Takes the tokens, or says why not, with the milliseconds until there are so many. More than `burst` are never there. */
  takeOrError(tokens = 1, now = performance.now()): ChatError | undefined {
    if (this.tryTake(tokens, now)) return undefined;
    return new ChatError('rate_limited', { retryAfter: Math.ceil(((tokens - this.#tokens) / this.#rate.perSecond) * 1000) });
  }

  /** Takes the tokens, if there are so many. */
  tryTake(tokens = 1, now = performance.now()): boolean {
    const isAvailable = this.hasTokens(tokens, now);
    if (isAvailable) this.#tokens -= tokens;
    return isAvailable;
  }

  hasTokens(tokens = 1, now = performance.now()): boolean {
    this.#refill(now);
    return this.#tokens >= tokens;
  }

  /** Whether more than half of what may be there at once is: what is only nice to have leaves the rest to what must be. */
  isOverHalfFull(now = performance.now()): boolean {
    return this.hasTokens(this.#rate.burst / 2, now);
  }

  /** Takes the tokens, be there so many or not: what has been used beyond them is paid for by those who come next. */
  spend(tokens = 1, now = performance.now()): void {
    this.#refill(now);
    this.#tokens -= tokens;
  }

  /** Milliseconds until there is a token; 0 when there is one. */
  msUntilToken(now = performance.now()): number {
    this.#refill(now);
    return Math.max(Math.ceil(((1 - this.#tokens) / this.#rate.perSecond) * 1000), 0);
  }

  /** What was taken and not used. */
  refund(tokens: number, now = performance.now()): void {
    this.#refill(now);
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + tokens);
  }

  /** Full again: forgetting it changes nothing. */
  isFull(now = performance.now()): boolean {
    this.#refill(now);
    return this.#tokens === this.#rate.burst;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + ((now - this.#updatedAt) / 1000) * this.#rate.perSecond);
    this.#updatedAt = now;
  }
}
