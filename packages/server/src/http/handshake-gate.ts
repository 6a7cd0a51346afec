/** Decides which handshakes become connections, and when: the admission queue and its refusals. */
import type { AddressLimiter } from '../limits/address-limiter.ts';
import type { AdmissionQueue } from '../limits/admission-queue.ts';
import type { MemoryPressure } from '../limits/memory-pressure.ts';
import { type HttpRefusal, rateRefusal, refusals } from './http-refusals.ts';

/** Maximum of waiting handshakes, of all addresses together: more than can be admitted before clients give up. */
const MAX_WAITING_HANDSHAKES = 20_000;

interface HandshakeGateOptions {
  queue: AdmissionQueue;
  memory: Pick<MemoryPressure, 'isHigh'>;
  isClosing: () => boolean;
}

/** A handshake that is refused here costs no session. */
export class HandshakeGate {
  readonly #queue: AdmissionQueue;
  readonly #memory: Pick<MemoryPressure, 'isHigh'>;
  readonly #isClosing: () => boolean;

  constructor({ queue, memory, isClosing }: HandshakeGateOptions) {
    this.#queue = queue;
    this.#memory = memory;
    this.#isClosing = isClosing;
  }

  /** Resolves when the handshake is admitted, or with the refusal. */
  async admit(address: AddressLimiter): Promise<HttpRefusal | undefined> {
    const refusal = this.#findRefusal(address);
    if (refusal) return refusal;
    address.queuedHandshakes += 1;
    await this.#queue.waitForTurn();
    address.queuedHandshakes -= 1;
    return this.#isClosing() ? refusals.notReady : undefined;
  }

  #findRefusal(address: AddressLimiter): HttpRefusal | undefined {
    if (this.#memory.isHigh) return refusals.memory;
    if (this.#queue.queuedCount >= MAX_WAITING_HANDSHAKES) return refusals.busy;
    const refusal = address.takeHandshakeToken();
    if (refusal?.code === 'rate_limited') return rateRefusal(refusal.retryAfterMs);
    return refusal && refusals.tooManyConnections;
  }
}
