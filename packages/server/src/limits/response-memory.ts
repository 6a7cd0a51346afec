/** The memory of large answers and pages, while they are made and while they wait to be read: of each address and of the node. */
import { getHeapStatistics } from 'node:v8';
import type { AddressBudgets } from './address-budgets.ts';
import { ByteBudget } from './byte-budget.ts';

const MIB = 1024 * 1024;
/** Of a node: a quarter of what its heap may be, within these. */
const NODE_LIMIT_BYTES = { min: 16 * MIB, max: 128 * MIB };
/** While somebody waits for memory, an answer that has been unread for so long goes, one each second. */
const MAX_UNREAD_MS = 30_000;
const CHECK_INTERVAL_MS = 1_000;

export interface ReservationOwner {
  budgets: AddressBudgets | undefined;
  /** Ends the connection that it is held for. */
  disconnect: () => void;
}

/** What is held until it is released, once. */
export class MemoryReservation {
  readonly owner: ReservationOwner;
  /** When it was sent, since when it waits for the client to read it. */
  sentAt = Infinity;
  readonly #onRelease: (reservation: MemoryReservation) => void;

  constructor(owner: ReservationOwner, onRelease: (reservation: MemoryReservation) => void) {
    this.owner = owner;
    this.#onRelease = onRelease;
  }

  /** `read`: when the client has read it; undefined when that is so already. */
  releaseAfter(whenRead: Promise<void> | undefined): void {
    if (whenRead) {
      this.sentAt = performance.now();
      void whenRead.then(() => this.#onRelease(this));
    } else this.#onRelease(this);
  }
}

/**
 * Memory is for those who read. Whoever finds none waits in line, first for what their address may hold and then for what the
 * node may. Meanwhile the oldest answer goes that has been unread for long, with its connection: of the same address, or of the
 * one that holds most. A reader who takes a byte now and then would else hold it for ever.
 */
export class ResponseMemory {
  readonly #nodeBudget: ByteBudget;
  readonly #maxUnreadMs: number;
  /** The oldest first. */
  readonly #reservations = new Set<MemoryReservation>();

  /** `unreadMs`: how long an answer may be unread while others wait. */
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

  async #waitWithEviction(pending: Promise<void> | undefined, chooseVictim: () => AddressBudgets | undefined): Promise<void> {
    if (!pending) return;
    const timer = setInterval(() => this.#disconnectOldestUnread(chooseVictim()), Math.min(CHECK_INTERVAL_MS, this.#maxUnreadMs));
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
