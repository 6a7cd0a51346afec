import type { Retention } from '@engawa/protocol';
import { memberCount } from '../domain/command.ts';
import { effectiveRetention, hasLimit, planTrim, readEffectiveRetention, sleep } from '../domain/retention.ts';
import { deleteIfAbandoned, hasRoomLifetime, type RoomLifetimes } from '../domain/room-expiry.ts';
import { settingsKey } from '../domain/room-keys.ts';
import type { RoomHead, RoomSummary, Store } from '../store/contract.ts';

/** How often the rooms are looked at that somebody of this node is in, in milliseconds. */
export const SWEEP_INTERVAL_MS = 60_000;
/** All rooms are looked at every so many rounds, where something says that any of them may have to be trimmed, and where nothing does. */
const SCAN_ROUNDS = 60;
const IDLE_SCAN_ROUNDS = 24 * SCAN_ROUNDS;
/** Which part of the time until the next round one may go on with the first, and then with all; the next takes up what it left. */
const TIME_BUDGET_SHARE = 1 / 3;
/** Entries that are trimmed from one room before others have their turn. */
const MAX_ENTRIES_PER_TRIM = 5_000;
/** Rooms of one step of that walk, and the pause after it. */
const SCAN_PAGE_ROOMS = 100;
const SCAN_PAUSE_MS = 100;
/** Rooms of which it is remembered that there is nothing to do. */
const MAX_SETTLED_ROOMS = 10_000;

type SweptRoom = Pick<RoomHead, 'room' | 'epoch' | 'head'> & {
  /** What is to be kept, where that is known. */
  policy?: Retention;
};

interface RetentionJobOptions {
  store: Store;
  /** What is kept of any room at most. */
  bounds: Retention;
  lifetimes: RoomLifetimes;
  /** The rooms that somebody of this node is in, and how far they are. */
  readLocalRooms: () => Promise<SweptRoom[]>;
  /** Milliseconds. */
  intervalMs: number;
  onError: (error: unknown) => undefined;
}

/**
 * Trims what is not to be kept, and ends rooms that nobody visits, on every node by itself: two that do the same to a room do
 * it once. Rooms that somebody is in are looked at every minute, if something was added since; all others by a slow walk. Of
 * a room in which nothing is added it is known until when there is nothing to do, and nothing is read.
 */
export class RetentionJob {
  readonly #options: RetentionJobOptions;
  readonly #timer: NodeJS.Timeout;
  /** Nothing goes of these until then, unless something is added; never for long, since the store has a clock of its own. */
  readonly #settled = new Map<string, SweptRoom & { until: number }>();
  #isOpen = true;
  #round: Promise<void> | undefined;
  /** Rooms that are still to be looked at, before the next look at who is here. */
  #pending: SweptRoom[] = [];
  /** Some room may have to be trimmed, or to end. */
  #mayHaveWork: boolean;
  #nextScanAt: number;
  /** The room that the walk has come to. */
  #scanCursor: string | undefined;

  constructor(options: RetentionJobOptions) {
    this.#options = options;
    this.#mayHaveWork = hasLimit(options.bounds) || hasRoomLifetime(options.lifetimes);
    // What owners want is not known before the first walk.
    this.#nextScanAt = performance.now() + Math.random() * SCAN_ROUNDS * options.intervalMs;
    this.#timer = setInterval(() => {
      this.#round ??= this.#runRound().finally(() => (this.#round = undefined));
    }, options.intervalMs);
  }

  /** Resolves when nothing is done any more. */
  async close(): Promise<void> {
    this.#isOpen = false;
    clearInterval(this.#timer);
    await this.#round;
  }

  /** One room after the other: so none is trimmed twice at once. */
  async #runRound(): Promise<void> {
    const { readLocalRooms, intervalMs } = this.#options;
    try {
      if (this.#pending.length === 0) this.#pending = await readLocalRooms();
      await this.#sweepPending(performance.now() + TIME_BUDGET_SHARE * intervalMs);
      if (performance.now() >= this.#nextScanAt) await this.#scanRooms(performance.now() + TIME_BUDGET_SHARE * intervalMs);
    } catch (error) {
      this.#report(error);
    }
  }

  async #sweepPending(until: number): Promise<void> {
    while (this.#hasTimeLeft(until)) {
      const room = this.#pending.shift();
      if (!room) return;
      if (!(await this.#sweep(room))) this.#pending.push(room);
    }
  }

  async #scanRooms(until: number): Promise<void> {
    const { store } = this.#options;
    const query = { limit: SCAN_PAGE_ROOMS, keys: [settingsKey], counts: [''] };
    for (let more = true; more; await sleep(SCAN_PAUSE_MS)) {
      const page = await store.listRooms({ ...query, ...(this.#scanCursor !== undefined && { after: this.#scanCursor }) });
      for (const listed of page.rooms) {
        let isDone = false;
        while (!isDone && this.#hasTimeLeft(until)) isDone = await this.#sweepListed(listed);
        if (!isDone) return;
        this.#scanCursor = listed.room;
      }
      ({ more } = page);
    }
    this.#scanCursor = undefined;
    this.#scheduleScan();
  }

  /** False when more is to go. What could not be done is done by a later walk. */
  async #sweepListed(listed: RoomSummary): Promise<boolean> {
    const { store, bounds, lifetimes } = this.#options;
    const { room, epoch, head } = listed;
    const sweptRoom = { room, epoch, head, policy: effectiveRetention(listed, bounds) };
    if (this.#isSettled(sweptRoom) || (memberCount(listed) > 0 && !hasLimit(sweptRoom.policy))) return true;
    const startedAt = performance.now();
    try {
      const validForMs = await deleteIfAbandoned(store, listed, lifetimes);
      return validForMs === 0 || (await this.#sweep(sweptRoom, startedAt + validForMs));
    } catch (error) {
      this.#report(error);
      return true;
    }
  }

  /** Not all nodes at once. */
  #scheduleScan(): void {
    const rounds = this.#mayHaveWork ? SCAN_ROUNDS : IDLE_SCAN_ROUNDS;
    this.#nextScanAt = performance.now() + rounds * this.#options.intervalMs * (0.75 + Math.random() / 2);
  }

  #hasTimeLeft(until: number): boolean {
    return this.#isOpen && performance.now() < until;
  }

  /** False when more is to go. What could not be done is done by a later round. */
  async #sweep(room: SweptRoom, until = Infinity): Promise<boolean> {
    if (this.#isSettled(room)) return true;
    try {
      // A store that answers at once would keep everybody else waiting for all rooms.
      await sleep();
      return await this.#trim(room, until);
    } catch (error) {
      this.#report(error);
      return true;
    }
  }

  #isSettled({ room, epoch, head }: SweptRoom): boolean {
    const settled = this.#settled.get(room);
    return settled?.epoch === epoch && settled.head === head && performance.now() < settled.until;
  }

  /** When nothing goes it is settled until something may, or until then. */
  async #trim(sweptRoom: SweptRoom, until: number): Promise<boolean> {
    const { store, bounds, intervalMs } = this.#options;
    const { room } = sweptRoom;
    const startedAt = performance.now();
    const policy = sweptRoom.policy ?? (await readEffectiveRetention(store, room, bounds));
    if (hasLimit(policy) && !this.#mayHaveWork) {
      this.#mayHaveWork = true;
      this.#scheduleScan();
    }
    const plan = hasLimit(policy) ? await planTrim(store, room, policy, MAX_ENTRIES_PER_TRIM) : null;
    const trimCount = plan ? plan.keepFrom - plan.oldest : 0;
    if (plan && trimCount > 0) await store.trim(room, { epoch: plan.epoch, below: plan.keepFrom });
    // As it was before it was looked at: whatever was added meanwhile, a new policy perhaps, is looked at again.
    else this.#settle(sweptRoom, Math.min(until, startedAt + Math.min(plan?.validForMs ?? Infinity, IDLE_SCAN_ROUNDS * intervalMs)));
    return trimCount < MAX_ENTRIES_PER_TRIM;
  }

  #settle({ room, epoch, head }: SweptRoom, until: number): void {
    this.#settled.delete(room);
    this.#settled.set(room, { room, epoch, head, until });
    if (this.#settled.size <= MAX_SETTLED_ROOMS) return;
    for (const oldest of this.#settled.keys()) {
      this.#settled.delete(oldest);
      return;
    }
  }

  /** Who closes the node may close the store at the same time. */
  #report(error: unknown): void {
    if (this.#isOpen) this.#options.onError(error);
  }
}
