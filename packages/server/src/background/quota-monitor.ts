/** Watches how much the store holds, and warns the operator before a quota is used up. */
import type { Quotas } from '@engawa/protocol';
import type { Headroom } from '../domain/quotas.ts';
import type { Store } from '../store/contract.ts';

/** How soon after somebody asked the store is looked at again, in milliseconds. */
const REFRESH_DELAY_MS = 2_000;

type LogWrite = (fields: object, message: string) => void;

interface QuotaMonitorOptions {
  store: Store;
  quotas: Quotas;
  /** Milliseconds. */
  refreshDelayMs?: number | undefined;
  /** What the operator reads. */
  log: { info: LogWrite; warn: LogWrite; error: LogWrite };
  onError: (error: unknown) => undefined;
}

/**
 * The usage of the store as of a moment ago, for rules that cannot wait. Whoever asks makes it be read again soon, so while
 * nobody asks nothing is read; what is written meanwhile may exceed a quota by what fits into that time.
 */
export class QuotaMonitor {
  readonly #options: QuotaMonitorOptions;
  readonly #rooms: QuotaGauge;
  readonly #bytes: QuotaGauge;
  /** Rooms that were opened on this node since the store was last asked. */
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
      // What was known last still counts.
      if (this.#isOpen) onError(error);
    }
  }
}

/** Parts of a quota at which the operator is warned, and by how much usage must fall before the next warning. */
const NEAR_SHARE = 0.8;
const FULL_SHARE = 1;
const HYSTERESIS_SHARE = 0.05;

interface GaugeOptions {
  setting: string;
  quota: number | null;
  log: QuotaMonitorOptions['log'];
}

/** How much of one quota is used. */
class QuotaGauge {
  readonly #options: GaugeOptions;
  #value = 0;
  #reportedLevel: 0 | typeof NEAR_SHARE | typeof FULL_SHARE = 0;

  constructor(options: GaugeOptions) {
    this.#options = options;
  }

  /** As a part of the quota; 0 without one. */
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
    if (level < this.#reportedLevel) log.info(fields, 'a quota has space again');
    else if (level === FULL_SHARE) log.error(fields, 'a quota is used up: what would exceed it is refused');
    else log.warn(fields, 'a quota is nearly used up');
    this.#reportedLevel = level;
  }
}
