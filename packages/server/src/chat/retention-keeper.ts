import type { Retention } from '@engawa/protocol';
import type { ListedRoom, RoomHead, Store } from '../store/store.ts';
import { settingsKey } from './keys.ts';
import { hasLimit, judge, pause, policyIn, policyOf } from './retention.ts';
import { endIfAbandoned, endsRooms, type RoomLifetimes } from './room-lifetimes.ts';
import { memberCount } from './rule.ts';

/** How often the rooms are looked at that somebody of this node is in, in milliseconds. */
export const ROUND_MS = 60_000;
/** All rooms are looked at every so many rounds, where something says that any of them may have to be trimmed, and where nothing does. */
const WALK_ROUNDS = 60;
const IDLE_WALK_ROUNDS = 24 * WALK_ROUNDS;
/** Which part of the time until the next round one may go on with the first, and then with all; the next takes up what it left. */
const BUDGET = 1 / 3;
/** Entries that are trimmed from one room before others have their turn. */
const TURN_ENTRIES = 5_000;
/** Rooms of one step of that walk, and the pause after it. */
const STEP_ROOMS = 100;
const PAUSE_MS = 100;
/** Rooms of which it is remembered that there is nothing to do. */
const REMEMBERED_ROOMS = 10_000;

type Place = Pick<RoomHead, 'room' | 'epoch' | 'head'> & {
  /** What is to be kept, where that is known. */
  policy?: Retention;
};

interface RetentionKeeping {
  store: Store;
  /** What is kept of any room at most. */
  bounds: Retention;
  lifetimes: RoomLifetimes;
  /** The rooms that somebody of this node is in, and how far they are. */
  followed: () => Promise<Place[]>;
  /** Milliseconds. */
  every: number;
  onError: (error: unknown) => undefined;
}

/**
 * Trims what is not to be kept, and ends rooms that nobody visits, on every node by itself: two that do the same to a room do
 * it once. Rooms that somebody is in are looked at every minute, if something was added since; all others by a slow walk. Of
 * a room in which nothing is added it is known until when there is nothing to do, and nothing is read.
 */
export class RetentionKeeper {
  readonly #keeping: RetentionKeeping;
  readonly #timer: NodeJS.Timeout;
  /** Nothing goes of these until then, unless something is added; never for long, since the store has a clock of its own. */
  readonly #settled = new Map<string, Place & { until: number }>();
  #isOpen = true;
  #round: Promise<void> | undefined;
  /** Rooms that are still to be looked at, before the next look at who is here. */
  #pending: Place[] = [];
  /** Some room may have to be trimmed, or to end. */
  #isNeeded: boolean;
  #walkAt: number;
  /** The room that the walk has come to. */
  #walkedTo: string | undefined;

  constructor(keeping: RetentionKeeping) {
    this.#keeping = keeping;
    this.#isNeeded = hasLimit(keeping.bounds) || endsRooms(keeping.lifetimes);
    // What owners want is not known before the first walk.
    this.#walkAt = performance.now() + Math.random() * WALK_ROUNDS * keeping.every;
    this.#timer = setInterval(() => {
      this.#round ??= this.#goRound().finally(() => (this.#round = undefined));
    }, keeping.every);
  }

  /** Resolves when nothing is done any more. */
  async close(): Promise<void> {
    this.#isOpen = false;
    clearInterval(this.#timer);
    await this.#round;
  }

  /** One room after the other: so none is trimmed twice at once. */
  async #goRound(): Promise<void> {
    const { followed, every } = this.#keeping;
    try {
      if (this.#pending.length === 0) this.#pending = await followed();
      await this.#sweepPending(performance.now() + BUDGET * every);
      if (performance.now() >= this.#walkAt) await this.#walk(performance.now() + BUDGET * every);
    } catch (error) {
      this.#report(error);
    }
  }

  async #sweepPending(until: number): Promise<void> {
    while (this.#mayGoOn(until)) {
      const place = this.#pending.shift();
      if (!place) return;
      if (!(await this.#sweep(place))) this.#pending.push(place);
    }
  }

  async #walk(until: number): Promise<void> {
    const { store } = this.#keeping;
    const ask = { limit: STEP_ROOMS, keys: [settingsKey], counts: [''] };
    for (let more = true; more; await pause(PAUSE_MS)) {
      const page = await store.rooms({ ...ask, ...(this.#walkedTo !== undefined && { after: this.#walkedTo }) });
      for (const listed of page.rooms) {
        let isDone = false;
        while (!isDone && this.#mayGoOn(until)) isDone = await this.#lookAt(listed);
        if (!isDone) return;
        this.#walkedTo = listed.room;
      }
      ({ more } = page);
    }
    this.#walkedTo = undefined;
    this.#walkAgain();
  }

  /** False when more is to go. What could not be done is done by a later walk. */
  async #lookAt(listed: ListedRoom): Promise<boolean> {
    const { store, bounds, lifetimes } = this.#keeping;
    const { room, epoch, head } = listed;
    const place = { room, epoch, head, policy: policyIn(listed, bounds) };
    if (this.#isSettled(place) || (memberCount(listed) > 0 && !hasLimit(place.policy))) return true;
    const asked = performance.now();
    try {
      const lasts = await endIfAbandoned(store, listed, lifetimes);
      return lasts === 0 || (await this.#sweep(place, asked + lasts));
    } catch (error) {
      this.#report(error);
      return true;
    }
  }

  /** Not all nodes at once. */
  #walkAgain(): void {
    const rounds = this.#isNeeded ? WALK_ROUNDS : IDLE_WALK_ROUNDS;
    this.#walkAt = performance.now() + rounds * this.#keeping.every * (0.75 + Math.random() / 2);
  }

  #mayGoOn(until: number): boolean {
    return this.#isOpen && performance.now() < until;
  }

  /** False when more is to go. What could not be done is done by a later round. */
  async #sweep(place: Place, until = Infinity): Promise<boolean> {
    if (this.#isSettled(place)) return true;
    try {
      // A store that answers at once would keep everybody else waiting for all rooms.
      await pause();
      return await this.#trim(place, until);
    } catch (error) {
      this.#report(error);
      return true;
    }
  }

  #isSettled({ room, epoch, head }: Place): boolean {
    const settled = this.#settled.get(room);
    return settled?.epoch === epoch && settled.head === head && performance.now() < settled.until;
  }

  /** When nothing goes it is settled until something may, or until then. */
  async #trim(place: Place, until: number): Promise<boolean> {
    const { store, bounds, every } = this.#keeping;
    const { room } = place;
    const asked = performance.now();
    const policy = place.policy ?? (await policyOf(store, room, bounds));
    if (hasLimit(policy) && !this.#isNeeded) {
      this.#isNeeded = true;
      this.#walkAgain();
    }
    const verdict = hasLimit(policy) ? await judge(store, room, policy, TURN_ENTRIES) : null;
    const goes = verdict ? verdict.stays - verdict.oldest : 0;
    if (verdict && goes > 0) await store.trim(room, { epoch: verdict.epoch, below: verdict.stays });
    // As it was before it was looked at: whatever was added meanwhile, a new policy perhaps, is looked at again.
    else this.#settle(place, Math.min(until, asked + Math.min(verdict?.lasts ?? Infinity, IDLE_WALK_ROUNDS * every)));
    return goes < TURN_ENTRIES;
  }

  #settle({ room, epoch, head }: Place, until: number): void {
    this.#settled.delete(room);
    this.#settled.set(room, { room, epoch, head, until });
    if (this.#settled.size <= REMEMBERED_ROOMS) return;
    for (const longest of this.#settled.keys()) {
      this.#settled.delete(longest);
      return;
    }
  }

  /** Who closes the node may close the store at the same time. */
  #report(error: unknown): void {
    if (this.#isOpen) this.#keeping.onError(error);
  }
}
