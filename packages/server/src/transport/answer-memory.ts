/** The memory of large answers and pages, while they are made and while they wait to be read: of each address and of the node. */
import { getHeapStatistics } from 'node:v8';
import type { AddressBudgets } from './address-budgets.ts';
import { ByteBudget } from './byte-budget.ts';

const MIB = 1024 * 1024;
/** Of a node: a quarter of what its heap may be, within these. */
const NODE_BYTES = { least: 16 * MIB, most: 128 * MIB };
/** Who has waited so long for memory has a slower reader ended, and so again each time. */
const PATIENCE_MS = 2_000;

export interface Holder {
  address: AddressBudgets | undefined;
  /** Ends the connection that it is held for. */
  end: () => void;
}

/** What is held until it is released, once. */
export class Hold {
  readonly holder: Holder;
  /** It was sent, and waits for the client to read it. */
  isUnread = false;
  readonly #release: (hold: Hold) => void;

  constructor(holder: Holder, release: (hold: Hold) => void) {
    this.holder = holder;
    this.#release = release;
  }

  /** `read`: when the client has read it; undefined when that is so already. */
  releaseOnce(read: Promise<void> | undefined): void {
    this.isUnread = read !== undefined;
    if (read) void read.then(() => this.#release(this));
    else this.#release(this);
  }
}

/**
 * Memory is for those who read. Whoever finds none waits in line, first for what their address may hold and then for what the
 * node may; after a while the oldest answer that nobody reads goes, with its connection, of the address that holds most.
 */
export class AnswerMemory {
  readonly #node: ByteBudget;
  readonly #patience: number;
  /** The oldest first. */
  readonly #holds = new Set<Hold>();

  constructor({ bytes = bytesOfNode(), patience = PATIENCE_MS } = {}) {
    this.#node = new ByteBudget(bytes);
    this.#patience = patience;
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
    const timer = setInterval(() => this.#endOldest(whose()), this.#patience);
    await taken;
    clearInterval(timer);
  }

  #endOldest(address: AddressBudgets | undefined): void {
    for (const { holder, isUnread } of this.#holds) {
      if (!isUnread || holder.address !== address) continue;
      holder.end();
      return;
    }
  }

  #largestHolder(): AddressBudgets | undefined {
    const counts = new Map<AddressBudgets | undefined, number>();
    for (const { holder, isUnread } of this.#holds) if (isUnread) counts.set(holder.address, (counts.get(holder.address) ?? 0) + 1);
    const [largest] = [...counts].sort(([, one], [, other]) => other - one);
    return largest?.[0];
  }
}

const bytesOfNode = (): number => Math.min(NODE_BYTES.most, Math.max(NODE_BYTES.least, getHeapStatistics().heap_size_limit / 4));
