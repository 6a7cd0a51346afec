/** The quota monitor: tracks how much of each quota is used, and warns the operator before it is used up. */
import type { Quotas } from '@engawa/protocol';
import type { Headroom } from '../domain/quotas.ts';
import type { Store } from '../store/contract.ts';

/** Delay between a request for the usage and the next read of the store, in milliseconds. */
const REFRESH_DELAY_MS = 2_000;

type LogWrite = (fields: object, message: string) => void;

interface QuotaMonitorOptions {
  store: Store;
  quotas: Quotas;
  /** Milliseconds. */
  refreshDelayMs?: number | undefined;
  /** The operator's log. */
  log: { info: LogWrite; warn: LogWrite; error: LogWrite };
  onError: (error: unknown) => undefined;
}

/**
 * The recent usage of the store, for rules that cannot wait for a read. Each request schedules a new read, so an idle server
 * reads nothing. Writes between two reads may exceed a quota.
 */
export class QuotaMonitor {
  readonly #options: QuotaMonitorOptions;
  readonly #rooms: QuotaGauge;
  readonly #bytes: QuotaGauge;
  /** Rooms that were created on this node since the last read of the store. */
  #openedRooms = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOpen = true;

  constructor(options: QuotaMonitorOptions) {
    const { quotas, log } = options;
    this.#options = options;
    this.#rooms = new QuotaGauge({ setting: '--quota-rooms', quota: quotas.rooms, log });
    this.#bytes = new QuotaGauge({ setting: '--quota-total-bytes', quota: quotas.totalBytes, log });
    if (this.#hasQuota) void this.#refresh();
  }

  headroom({ canOpenRooms, writeRetryAfterMs }: { canOpenRooms: boolean; writeRetryAfterMs: number }): Headroom {
    this.#scheduleRefresh();
    const { roomsPerSession, roomBytes } = this.#options.quotas;
    const exceededRoomQuota = this.#rooms.usedWith(this.#openedRooms) >= 1 ? 'rooms' : canOpenRooms ? undefined : 'roomsPerAddress';
    return { writeRetryAfterMs, roomsPerSession, roomBytes, exceededRoomQuota, storageShare: this.#bytes.used };
  }

  countOpenedRoom(): void {
    this.#openedRooms += 1;
  }

  close(): void {
    this.#isOpen = false;
    clearTimeout(this.#timer);
  }

  get #hasQuota(): boolean {
    const { rooms, totalBytes } = this.#options.quotas;
    return rooms !== null || totalBytes !== null;
  }

  #scheduleRefresh(): void {
    if (this.#timer || !this.#isOpen || !this.#hasQuota) return;
    this.#timer = setTimeout(
      () => void this.#refresh().finally(() => (this.#timer = undefined)),
      this.#options.refreshDelayMs ?? REFRESH_DELAY_MS,
    );
  }

  async #refresh(): Promise<void> {
    const { store, onError } = this.#options;
    const before = this.#openedRooms;
    try {
      const { rooms, bytes } = await store.usage();
      if (!this.#isOpen) return;
      this.#openedRooms -= before;
      this.#rooms.set(rooms);
      this.#bytes.set(bytes);
    } catch (error) {
      // The last known usage still counts.
      if (this.#isOpen) onError(error);
    }
  }
}

/** Shares of a quota at which the operator is warned, and how far usage must fall before the next warning. */
const NEAR_SHARE = 0.8;
const FULL_SHARE = 1;
const HYSTERESIS_SHARE = 0.05;

interface GaugeOptions {
  setting: string;
  quota: number | null;
  log: QuotaMonitorOptions['log'];
}

/** Tracks how much of one quota is used. */
class QuotaGauge {
  readonly #options: GaugeOptions;
  #value = 0;
  #reportedLevel: 0 | typeof NEAR_SHARE | typeof FULL_SHARE = 0;

  constructor(options: GaugeOptions) {
    this.#options = options;
  }

  /** Share of the quota that is used; 0 without a quota. */
  get used(): number {
    return this.usedWith(0);
  }

  usedWith(added: number): number {
    const { quota } = this.#options;
    return quota === null ? 0 : (this.#value + added) / quota;
  }

  set(value: number): void {
    this.#value = value;
    const { used } = this;
    if (used >= FULL_SHARE && this.#reportedLevel < FULL_SHARE) this.#report(FULL_SHARE);
    else if (used >= NEAR_SHARE && this.#reportedLevel < NEAR_SHARE) this.#report(NEAR_SHARE);
    else if (this.#reportedLevel === FULL_SHARE && used < FULL_SHARE - HYSTERESIS_SHARE)
      this.#report(used >= NEAR_SHARE - HYSTERESIS_SHARE ? NEAR_SHARE : 0);
    else if (this.#reportedLevel === NEAR_SHARE && used < NEAR_SHARE - HYSTERESIS_SHARE) this.#report(0);
  }

  #report(level: 0 | typeof NEAR_SHARE | typeof FULL_SHARE): void {
    const { setting, quota, log } = this.#options;
    const fields = { setting, used: this.#value, quota, percent: Math.floor(100 * this.used) };
    if (level < this.#reportedLevel) log.info(fields, 'a quota has free space again');
    else if (level === FULL_SHARE) log.error(fields, 'a quota is used up: requests that would exceed it are refused');
    else log.warn(fields, 'a quota is nearly used up');
    this.#reportedLevel = level;
  }
}
