/** The retention job: trims logs and deletes abandoned rooms in the background. */
import type { Retention } from '@engawa/protocol';
import { memberCount } from '../domain/command.ts';
import { effectiveRetention, hasLimit, planTrim, readEffectiveRetention, sleep } from '../domain/retention.ts';
import { deleteIfAbandoned, hasRoomLifetime, type RoomLifetimes } from '../domain/room-expiry.ts';
import { settingsKey } from '../domain/room-keys.ts';
import type { RoomHead, RoomSummary, Store } from '../store/contract.ts';

/** Interval of the rounds that check the rooms with members on this node, in milliseconds. */
export const SWEEP_INTERVAL_MS = 60_000;
/** Rounds between two scans of all rooms: if any room may have to be trimmed or deleted, and if none may. */
const SCAN_ROUNDS = 60;
const IDLE_SCAN_ROUNDS = 24 * SCAN_ROUNDS;
/**
 * Share of the interval that a round may spend on the rooms of this node, and again on the scan. The next round continues where
 * it stopped.
 */
const TIME_BUDGET_SHARE = 1 / 3;
/** Entries that are trimmed from one room before the next room is trimmed. */
const MAX_ENTRIES_PER_TRIM = 5_000;
/** Rooms of one page of the scan, and the pause after it in milliseconds. */
const SCAN_PAGE_ROOMS = 100;
const SCAN_PAUSE_MS = 100;
/** Rooms that are remembered as having nothing to trim. */
const MAX_SETTLED_ROOMS = 10_000;

type SweptRoom = Pick<RoomHead, 'room' | 'epoch' | 'head'> & {
  /** The effective retention, if it is known. */
  policy?: Retention;
};

interface RetentionJobOptions {
  store: Store;
  /** The operator's retention, which applies to every room. */
  bounds: Retention;
  lifetimes: RoomLifetimes;
  /** The rooms with members on this node, and their heads. */
  readLocalRooms: () => Promise<SweptRoom[]>;
  /** Milliseconds. */
  intervalMs: number;
  onError: (error: unknown) => undefined;
}

/**
 * Trims entries beyond the retention, and deletes rooms that have no visitors. Each node does so independently: if two nodes do
 * the same to a room, it happens once. Rooms with members on this node are checked every minute if entries were added; all others
 * by a slow scan. For a room without new entries the job remembers until when there is nothing to do, and reads nothing.
 */
export class RetentionJob {
  readonly #options: RetentionJobOptions;
  readonly #timer: NodeJS.Timeout;
  /**
   * Rooms with nothing to trim until that time, unless entries are added. The time is never far ahead, because the store has its
   * own clock.
   */
  readonly #settled = new Map<string, SweptRoom & { until: number }>();
  #isOpen = true;
  #round: Promise<void> | undefined;
  /** Rooms of the current pass that are still to be checked. */
  #pending: SweptRoom[] = [];
  /** Whether any room may have to be trimmed or deleted. */
  #mayHaveWork: boolean;
  #nextScanAt: number;
  /** The room at which the scan continues. */
  #scanCursor: string | undefined;

  constructor(options: RetentionJobOptions) {
    this.#options = options;
    this.#mayHaveWork = hasLimit(options.bounds) || hasRoomLifetime(options.lifetimes);
    // The retention that owners chose is unknown until the first scan.
    this.#nextScanAt = performance.now() + Math.random() * SCAN_ROUNDS * options.intervalMs;
    this.#timer = setInterval(() => {
      this.#round ??= this.#runRound().finally(() => (this.#round = undefined));
    }, options.intervalMs);
  }

  /** Resolves when the running round has ended. */
  async close(): Promise<void> {
    this.#isOpen = false;
    clearInterval(this.#timer);
    await this.#round;
  }

  /** Handles one room after the other, so that no room is trimmed twice at the same time. */
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
    for (let hasMore = true; hasMore; await sleep(SCAN_PAUSE_MS)) {
      const page = await store.listRooms({ ...query, ...(this.#scanCursor !== undefined && { after: this.#scanCursor }) });
      for (const listed of page.rooms) {
        let isDone = false;
        while (!isDone && this.#hasTimeLeft(until)) isDone = await this.#sweepListed(listed);
        if (!isDone) return;
        this.#scanCursor = listed.room;
      }
      ({ hasMore } = page);
    }
    this.#scanCursor = undefined;
    this.#scheduleScan();
  }

  /** Returns false if more is to be trimmed. After an error, a later scan tries again. */
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

  /** Randomized, so that the nodes do not scan at the same time. */
  #scheduleScan(): void {
    const rounds = this.#mayHaveWork ? SCAN_ROUNDS : IDLE_SCAN_ROUNDS;
    this.#nextScanAt = performance.now() + rounds * this.#options.intervalMs * (0.75 + Math.random() / 2);
  }

  #hasTimeLeft(until: number): boolean {
    return this.#isOpen && performance.now() < until;
  }

  /** Returns false if more is to be trimmed. After an error, a later round tries again. */
  async #sweep(room: SweptRoom, until = Infinity): Promise<boolean> {
    if (this.#isSettled(room)) return true;
    try {
      // Yield to the event loop: a store that answers synchronously would block it for all rooms.
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

  /**
   * Trims the room. If there is nothing to trim, the room is settled until `until`, or until its retention applies to the next
   * entry.
   */
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
    // Settle the head from before the check: entries that were added since, which may change the policy, cause another check.
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

  /** Errors after `close` are ignored: the store may be closed at the same time. */
  #report(error: unknown): void {
    if (this.#isOpen) this.#options.onError(error);
  }
}
