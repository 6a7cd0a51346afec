/** Watches how much the store holds, and warns the operator before a quota is used up. */
import type { Quotas } from '@engawa/protocol';
import type { Store } from '../store/store.ts';
import type { Headroom } from './quotas.ts';

/** How soon after somebody asked the store is looked at again, in milliseconds. */
const REFRESH_MS = 2_000;

type Write = (fields: object, message: string) => void;

interface QuotaMonitoring {
  store: Store;
  quotas: Quotas;
  /** Milliseconds. */
  every?: number | undefined;
  /** What the operator reads. */
  log: { info: Write; warn: Write; error: Write };
  onError: (error: unknown) => undefined;
}

/**
 * The usage of the store as of a moment ago, for rules that cannot wait. Whoever asks makes it be read again soon, so while
 * nobody asks nothing is read; what is written meanwhile may exceed a quota by what fits into that time.
 */
export class QuotaMonitor {
  readonly #monitoring: QuotaMonitoring;
  readonly #rooms: QuotaGauge;
  readonly #bytes: QuotaGauge;
  /** Rooms that were opened on this node since the store was last asked. */
  #opened = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOpen = true;

  constructor(monitoring: QuotaMonitoring) {
    const { quotas, log } = monitoring;
    this.#monitoring = monitoring;
    this.#rooms = new QuotaGauge({ setting: '--quota-rooms', quota: quotas.rooms, log });
    this.#bytes = new QuotaGauge({ setting: '--quota-total-bytes', quota: quotas.totalBytes, log });
    if (this.#isNeeded) void this.#refresh();
  }

  headroom({ mayOpenRooms, mayAddIn }: { mayOpenRooms: boolean; mayAddIn: number }): Headroom {
    this.#refreshSoon();
    const { roomsPerSession, roomBytes } = this.#monitoring.quotas;
    const noRoom = this.#rooms.usedWith(this.#opened) >= 1 ? 'rooms' : mayOpenRooms ? undefined : 'roomsPerAddress';
    return { mayAddIn, roomsPerSession, roomBytes, noRoom, storage: this.#bytes.used };
  }

  roomOpened(): void {
    this.#opened += 1;
  }

  close(): void {
    this.#isOpen = false;
    clearTimeout(this.#timer);
  }

  get #isNeeded(): boolean {
    const { rooms, totalBytes } = this.#monitoring.quotas;
    return rooms !== null || totalBytes !== null;
  }

  #refreshSoon(): void {
    if (this.#timer || !this.#isOpen || !this.#isNeeded) return;
    this.#timer = setTimeout(() => void this.#refresh().finally(() => (this.#timer = undefined)), this.#monitoring.every ?? REFRESH_MS);
  }

  async #refresh(): Promise<void> {
    const { store, onError } = this.#monitoring;
    const before = this.#opened;
    try {
      const { rooms, bytes } = await store.usage();
      if (!this.#isOpen) return;
      this.#opened -= before;
      this.#rooms.set(rooms);
      this.#bytes.set(bytes);
    } catch (error) {
      // What was known last still counts.
      if (this.#isOpen) onError(error);
    }
  }
}

/** Parts of a quota at which the operator is warned, and by how much usage must fall before the next warning. */
const NEAR = 0.8;
const FULL = 1;
const HYSTERESIS = 0.05;

interface GaugeOptions {
  setting: string;
  quota: number | null;
  log: QuotaMonitoring['log'];
}

/** How much of one quota is used. */
class QuotaGauge {
  readonly #options: GaugeOptions;
  #value = 0;
  #told: 0 | typeof NEAR | typeof FULL = 0;

  constructor(options: GaugeOptions) {
    this.#options = options;
  }

  /** As a part of the quota; 0 without one. */
  get used(): number {
    return this.usedWith(0);
  }

  usedWith(more: number): number {
    const { quota } = this.#options;
    return quota === null ? 0 : (this.#value + more) / quota;
  }

  set(value: number): void {
    this.#value = value;
    const { used } = this;
    if (used >= FULL && this.#told < FULL) this.#tell(FULL);
    else if (used >= NEAR && this.#told < NEAR) this.#tell(NEAR);
    else if (this.#told === FULL && used < FULL - HYSTERESIS) this.#tell(used >= NEAR - HYSTERESIS ? NEAR : 0);
    else if (this.#told === NEAR && used < NEAR - HYSTERESIS) this.#tell(0);
  }

  #tell(level: 0 | typeof NEAR | typeof FULL): void {
    const { setting, quota, log } = this.#options;
    const fields = { setting, used: this.#value, quota, percent: Math.floor(100 * this.used) };
    if (level < this.#told) log.info(fields, 'a quota has space again');
    else if (level === FULL) log.error(fields, 'a quota is used up: what would exceed it is refused');
    else log.warn(fields, 'a quota is nearly used up');
    this.#told = level;
  }
}
