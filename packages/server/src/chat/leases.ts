import type { Facts, Store } from '../store/store.ts';
import { resting } from './commit.ts';
import type { MemberValue } from './keys.ts';
import { lapse } from './members.ts';
import { isLarge, memberCount } from './rule.ts';

/** How long a guest's name stays his after his connection, or the whole node, is gone. */
export const GRACE_MS = 30_000;
/** How long they stay a member after that, as long as nobody joins under the name. */
export const ABSENCE_MS = 24 * 3_600_000;
/** How often in that time a node says that it is here, and looks who is not. Where nobody is connected, it only looks, once. */
const BEATS = 4;
/** Names that are freed at a time. */
const FREED_NAMES = 500;

interface LeaseKeeping {
  store: Store;
  node: string;
  /** Milliseconds. */
  grace: number;
  /** Milliseconds. */
  absence: number;
  /** Members from which on a room is large. */
  largeRoom: number;
  /** Whether somebody on this node holds a name; without, nothing is written. */
  isNeeded: () => boolean;
  /** The room is to hear that a member is gone, whose node could not say so. */
  tellGone: (room: string, username: string) => Promise<unknown>;
  onError: (error: unknown) => undefined;
}

/**
 * Keeps the names of this node's guests, and lets those of guests lapse who are gone, whichever node they were on. No
 * disconnect is trusted to be heard: a node that was killed stops beating, and any other sees it.
 */
export class LeaseKeeper {
  readonly #keeping: LeaseKeeping;
  readonly #beatEvery: number;
  readonly #timer: NodeJS.Timeout;
  #lastBeat = -Infinity;
  #isAtIt = false;
  #turn = 0;
  /** Before, those that seem to be gone may have been cut off from the store as this node was. */
  #mayFreeFrom = -Infinity;

  constructor(keeping: LeaseKeeping) {
    this.#keeping = keeping;
    this.#beatEvery = keeping.grace / BEATS;
    this.#timer = setInterval(() => void this.#beatAndFree(), this.#beatEvery);
  }

  /** Before this node takes a name: others must know that it is alive. */
  async awake(): Promise<void> {
    if (performance.now() - this.#lastBeat > 2 * this.#beatEvery) await this.#beat();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * In this order: a node that could not write, was stopped, or saw the clock jump for longer than the grace would else
   * take its own guests for gone. A store that failed is written to even if nobody is here: else nobody would learn that
   * it works again.
   */
  async #beatAndFree(): Promise<void> {
    if (this.#isAtIt) return;
    this.#isAtIt = true;
    const { store, isNeeded, onError } = this.#keeping;
    this.#turn += 1;
    const begun = performance.now();
    try {
      if (isNeeded() || !store.writable) await this.#beat();
      if (isNeeded() || this.#turn % BEATS === 0) await this.#free(begun);
    } catch (error) {
      this.#mayFreeFrom = Infinity;
      onError(error);
    }
    this.#isAtIt = false;
  }

  async #free(begun: number): Promise<void> {
    const { store, grace, isNeeded, onError } = this.#keeping;
    const lapsed = await store.lapsed(FREED_NAMES);
    const now = performance.now();
    if (this.#mayFreeFrom === Infinity || now - begun > grace / 2) this.#mayFreeFrom = now + grace / 4;
    if (now < this.#mayFreeFrom) return;
    // These may be our own, if the clock jumped in between: who is back by the append that frees him is not freed.
    if (lapsed.length > 0 && isNeeded()) await this.#beat();
    await Promise.all(lapsed.map((lease) => letLapse(lease, this.#keeping).catch(onError)));
  }

  async #beat(): Promise<void> {
    const { store, node, grace } = this.#keeping;
    const sent = performance.now();
    await store.beat(node, grace);
    this.#lastBeat = sent;
  }
}

/** Of the members of a large room so many may be such as are long gone. */
const ABSENT_SHARE = 0.5;

type Lapsing = Pick<LeaseKeeping, 'store' | 'grace' | 'absence' | 'largeRoom' | 'tellGone'>;

/**
 * Whose connection does not come back for longer than the grace is a member still, but for who wants the name: a phone that sleeps
 * is no news. They leave when they are away for too long, and where so many members are that the absent would make a room large.
 */
async function letLapse(
  { room, key }: { room: string; key: string },
  { store, grace, absence, largeRoom, tellGone }: Lapsing,
): Promise<void> {
  const facts = await store.read(room, { keys: [key], counts: [''] });
  const known = facts.keys.get(key);
  if (!known) return;
  // It has not run out again where another node set it aside in this moment.
  if (known.lease === 'lapsed' && !(await store.setAside(room, key, grace))) return;
  const member = known.value as unknown as MemberValue;
  const mayStay = known.lease !== 'lapsed' && absence > 0 && memberCount(facts) < ABSENT_SHARE * largeRoom;
  if (!mayStay) await free(store, { room, key, member, facts, largeRoom });
  else if ((await store.setAside(room, key, absence)) && known.lease === 'held') await tellGone(room, member.username);
}

interface Freeing {
  room: string;
  key: string;
  member: MemberValue;
  facts: Facts;
  largeRoom: number;
}

/** Stale means that somebody came back, or left, in this moment; if the name is still to be freed, the next look sees it. */
async function free(store: Store, { room, key, member, facts, largeRoom }: Freeing): Promise<void> {
  await store.append(room, resting([lapse(key, member, isLarge(facts, largeRoom))], facts, [key]));
}
