/** Bounds the memory of large responses and pages, for each address and for the node, until the client has read them. */
import { getHeapStatistics } from 'node:v8';
import type { AddressBudgets } from './address-budgets.ts';
import { ByteBudget } from './byte-budget.ts';

const MIB = 1024 * 1024;
/** Limit of a node: a quarter of its largest heap, within these bounds. */
const NODE_LIMIT_BYTES = { min: 16 * MIB, max: 128 * MIB };
/** While other requests wait for memory, responses that were unread for this long are dropped, one each second. */
const MAX_UNREAD_MS = 30_000;
const CHECK_INTERVAL_MS = 1_000;

export interface ReservationOwner {
  budgets: AddressBudgets | undefined;
  /** Closes the connection that the reservation is for. */
  disconnect: () => void;
}

/** Reserved bytes. They are released once. */
export class MemoryReservation {
  readonly owner: ReservationOwner;
  /** When the response was sent to the client, which may not have read it yet. */
  sentAt = Infinity;
  readonly #onRelease: (reservation: MemoryReservation) => void;

  constructor(owner: ReservationOwner, onRelease: (reservation: MemoryReservation) => void) {
    this.owner = owner;
    this.#onRelease = onRelease;
  }

  /** `whenRead` resolves when the client has read the response; undefined if it has read it already. */
  releaseAfter(whenRead: Promise<void> | undefined): void {
    if (whenRead) {
      this.sentAt = performance.now();
      void whenRead.then(() => this.#onRelease(this));
    } else this.#onRelease(this);
  }
}

/**
 * Reserves memory for responses. A request for which there is no memory waits: first for the budget of its address, then for that
 * of the node. Meanwhile, the oldest response that has been unread for too long is dropped and its connection closed: one of the
 * same address, or of the address with the most responses. Otherwise a slow consumer could hold the memory forever.
 */
export class ResponseMemory {
  readonly #nodeBudget: ByteBudget;
  readonly #maxUnreadMs: number;
  /** Oldest first. */
  readonly #reservations = new Set<MemoryReservation>();

  /** `unreadMs`: how long a response may be unread while other requests wait. */
  constructor({ bytes = computeNodeLimit(), unreadMs = MAX_UNREAD_MS } = {}) {
    this.#nodeBudget = new ByteBudget(bytes);
    this.#maxUnreadMs = unreadMs;
  }

  get usedBytes(): number {
    return this.#nodeBudget.usedBytes;
  }

  async reserve(owner: ReservationOwner, bytes: number): Promise<MemoryReservation> {
    const { budgets } = owner;
    await this.#waitWithEviction(budgets?.responseBytes?.take(bytes), () => budgets);
    await this.#waitWithEviction(this.#nodeBudget.take(bytes), () => this.#findLargestOwner());
    const reservation = new MemoryReservation(owner, () => {
      if (!this.#reservations.delete(reservation)) return;
      this.#nodeBudget.release(bytes);
      budgets?.responseBytes?.release(bytes);
    });
    this.#reservations.add(reservation);
    return reservation;
  }

  async #waitWithEviction(pending: Promise<void> | undefined, chooseOwner: () => AddressBudgets | undefined): Promise<void> {
    if (!pending) return;
    const timer = setInterval(() => this.#disconnectOldestUnread(chooseOwner()), Math.min(CHECK_INTERVAL_MS, this.#maxUnreadMs));
    await pending;
    clearInterval(timer);
  }

  #disconnectOldestUnread(budgets: AddressBudgets | undefined): void {
    const before = performance.now() - this.#maxUnreadMs;
    for (const { owner, sentAt } of this.#reservations) {
      if (sentAt > before || owner.budgets !== budgets) continue;
      owner.disconnect();
      return;
    }
  }

  #findLargestOwner(): AddressBudgets | undefined {
    const counts = new Map<AddressBudgets | undefined, number>();
    for (const { owner } of this.#reservations) counts.set(owner.budgets, (counts.get(owner.budgets) ?? 0) + 1);
    const [largest] = [...counts].sort(([, one], [, other]) => other - one);
    return largest?.[0];
  }
}

const computeNodeLimit = (): number =>
  Math.min(NODE_LIMIT_BYTES.max, Math.max(NODE_LIMIT_BYTES.min, getHeapStatistics().heap_size_limit / 4));
