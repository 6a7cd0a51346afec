/** Which handshakes become connections, and when. */
import type { Address } from './addresses.ts';
import { type HttpRefusal, rateRefusal, refusals } from './http-refusals.ts';
import type { MemoryPressure } from './memory-pressure.ts';
import type { Turnstile } from './turnstile.ts';

/** Handshakes that wait, of all addresses together: more than pass before clients give up. */
const MOST_WAITING = 20_000;

interface AdmissionOptions {
  queue: Turnstile;
  memory: Pick<MemoryPressure, 'isHigh'>;
  isClosing: () => boolean;
}

/** The admission queue. A handshake that is refused here costs no session. */
export class Admission {
  readonly #queue: Turnstile;
  readonly #memory: Pick<MemoryPressure, 'isHigh'>;
  readonly #isClosing: () => boolean;

  constructor({ queue, memory, isClosing }: AdmissionOptions) {
    this.#queue = queue;
    this.#memory = memory;
    this.#isClosing = isClosing;
  }

  /** Resolves when the handshake has its turn, or with why it gets none. */
  async pass(address: Address): Promise<HttpRefusal | undefined> {
    const refusal = this.#refusal(address);
    if (refusal) return refusal;
    address.waiting += 1;
    await this.#queue.pass();
    address.waiting -= 1;
    return this.#isClosing() ? refusals.notReady : undefined;
  }

  #refusal(address: Address): HttpRefusal | undefined {
    if (this.#memory.isHigh) return refusals.memory;
    if (this.#queue.waiting >= MOST_WAITING) return refusals.busy;
    const refusal = address.refuseHandshake();
    if (refusal?.code === 'rate_limited') return rateRefusal(refusal.retryAfter);
    return refusal && refusals.tooManyConnections;
  }
}
