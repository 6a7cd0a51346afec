/** The memory of large answers and pages, while they are made and while they wait to be read: of each address and of the node. */
import { getHeapStatistics } from 'node:v8';
import type { AddressBudgets } from './address-budgets.ts';
import { ByteBudget } from './byte-budget.ts';

const MIB = 1024 * 1024;
/** Of a node: a quarter of what its heap may be, within these. */
const NODE_BYTES = { least: 16 * MIB, most: 128 * MIB };
/** While somebody waits for memory, an answer that has been unread for so long goes, one each second. */
const UNREAD_MS = 30_000;
const LOOK_EVERY_MS = 1_000;

export interface Holder {
  address: AddressBudgets | undefined;
  /** Ends the connection that it is held for. */
  end: () => void;
}

/** What is held until it is released, once. */
export class Hold {
  readonly holder: Holder;
  /** When it was sent, since when it waits for the client to read it. */
  unreadSince = Infinity;
  readonly #release: (hold: Hold) => void;

  constructor(holder: Holder, release: (hold: Hold) => void) {
    this.holder = holder;
    this.#release = release;
  }

  /** `read`: when the client has read it; undefined when that is so already. */
  releaseOnce(read: Promise<void> | undefined): void {
    if (read) {
      this.unreadSince = performance.now();
      void read.then(() => this.#release(this));
    } else this.#release(this);
  }
}

/**
 * Memory is for those who read. Whoever finds none waits in line, first for what their address may hold and then for what the
 * node may. Meanwhile the oldest answer goes that has been unread for long, with its connection: of the same address, or of the
 * one that holds most. A reader who takes a byte now and then would else hold it for ever.
 */
export class AnswerMemory {
  readonly #node: ByteBudget;
  readonly #unreadMs: number;
  /** The oldest first. */
  readonly #holds = new Set<Hold>();

  /** `unreadMs`: how long an answer may be unread while others wait. */
  constructor({ bytes = bytesOfNode(), unreadMs = UNREAD_MS } = {}) {
    this.#node = new ByteBudget(bytes);
    this.#unreadMs = unreadMs;
  }

  get held(): number {
    return this.#node.held;
  }

  async take(holder: Holder, bytes: number): Promise<Hold> {
    const { address } = holder;
    await this.#patiently(address?.answers?.take(bytes), () => address);
    await this.#patiently(this.#node.take(bytes), () => this.#largestHolder());
    const hold = new Hold(holder, () => {
      if (!this.#holds.delete(hold)) return;
      this.#node.giveBack(bytes);
      address?.answers?.giveBack(bytes);
    });
    this.#holds.add(hold);
    return hold;
  }

  async #patiently(taken: Promise<void> | undefined, whose: () => AddressBudgets | undefined): Promise<void> {
    if (!taken) return;
    const timer = setInterval(() => this.#endOldest(whose()), Math.min(LOOK_EVERY_MS, this.#unreadMs));
    await taken;
    clearInterval(timer);
  }

  #endOldest(address: AddressBudgets | undefined): void {
    const before = performance.now() - this.#unreadMs;
    for (const { holder, unreadSince } of this.#holds) {
      if (unreadSince > before || holder.address !== address) continue;
      holder.end();
      return;
    }
  }

  #largestHolder(): AddressBudgets | undefined {
    const counts = new Map<AddressBudgets | undefined, number>();
    for (const { holder } of this.#holds) counts.set(holder.address, (counts.get(holder.address) ?? 0) + 1);
    const [largest] = [...counts].sort(([, one], [, other]) => other - one);
    return largest?.[0];
  }
}

const bytesOfNode = (): number => Math.min(NODE_BYTES.most, Math.max(NODE_BYTES.least, getHeapStatistics().heap_size_limit / 4));
