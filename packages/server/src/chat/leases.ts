import type { Store } from '../store/store.ts';
import { resting } from './commit.ts';
import type { MemberValue } from './keys.ts';
import { lapse } from './members.ts';

/** How long a guest's name stays his after his connection, or the whole node, is gone. */
export const GRACE_MS = 30_000;
/** Of the grace: how often a node says that it is alive, and how often it looks for names to free. */
const BEATS = 12;
const SWEEPS = 30;
/** Names that one sweep frees at most. */
const SWEEP_NAMES = 500;

interface LeaseKeeping {
  store: Store;
  node: string;
  /** Milliseconds. */
  grace: number;
  /** Whether somebody on this node holds a name; without, nothing is written. */
  isNeeded: () => boolean;
  onError: (error: unknown) => undefined;
}

/**
 * Keeps the names of this node's guests, and frees those of guests who are gone, whichever node they were on. No
 * disconnect is trusted to be heard: a node that was killed stops beating, and any other sees it.
 */
export class LeaseKeeper {
  readonly #keeping: LeaseKeeping;
  readonly #timers: NodeJS.Timeout[];
  #lastBeat = -Infinity;
  #sweeping = false;

  constructor(keeping: LeaseKeeping) {
    this.#keeping = keeping;
    this.#timers = [
      setInterval(() => void this.#beat(), keeping.grace / BEATS),
      setInterval(() => void this.#sweep(), keeping.grace / SWEEPS),
    ];
  }

  /** Before this node takes a name: others must know that it is alive. */
  async awake(): Promise<void> {
    if (performance.now() - this.#lastBeat > (2 * this.#keeping.grace) / BEATS) await this.#sendBeat();
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #beat(): Promise<void> {
    if (this.#keeping.isNeeded()) await this.#sendBeat().catch(this.#keeping.onError);
  }

  async #sendBeat(): Promise<void> {
    const { store, node, grace } = this.#keeping;
    const sent = performance.now();
    await store.beat(node, grace);
    this.#lastBeat = sent;
  }

  async #sweep(): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    const { store, onError } = this.#keeping;
    const lapsed = await store.lapsed(SWEEP_NAMES).catch(onError);
    await Promise.all((lapsed ?? []).map(({ room, key }) => free(store, room, key).catch(onError)));
    this.#sweeping = false;
  }
}

/** Stale means that somebody came back, or left, in this moment; if the name is still to be freed, the next sweep sees it. */
async function free(store: Store, room: string, key: string): Promise<void> {
  const facts = await store.read(room, { keys: [key] });
  const member = facts.keys.get(key)?.value as MemberValue | undefined;
  if (member) await store.append(room, { ...resting([lapse(member)], facts, [key]), lapsed: key });
}
