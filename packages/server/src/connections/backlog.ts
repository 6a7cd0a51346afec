/** Delivers the backlog of a slow or returning peer from the logs, page by page, as fast as it reads. */
import type { ReplayEntry, ReplayPage, ReplayQuery } from '../domain/entry-payloads.ts';
import type { MemoryReservation } from '../limits/response-memory.ts';
import type { Peer } from './peer.ts';

/** Maximum entries of one page; the size adapts to how many the peer can take at a time. */
export const MAX_PAGE_ENTRIES = 200;
const MIN_PAGE_ENTRIES = 8;
/** Maximum bytes of the bodies of one page. */
const PAGE_BYTES = 256 * 1024;

/** A room of which a slow consumer has not received all entries. */
interface BacklogSource {
  readonly roomId: string;
  /** The newest entry that the room has broadcast. */
  readonly position: { epoch: string; seq: number } | null;
  readPage(query: ReplayQuery): Promise<ReplayPage>;
  /**
   * Skips the entries after `seq` that were not broadcast: in a large room these may be thousands. Returns the seq after which
   * to read.
   */
  skipUnbroadcastAfter(seq: number): Promise<number>;
}

interface SeqRange {
  after: number;
  until: number;
  /** A page of this range was read before. */
  isStarted: boolean;
}

/** The entries of one room that a peer has yet to receive. */
export class RoomBacklog {
  readonly #source: BacklogSource;
  readonly #epoch: string | undefined;
  #pageEntries = MAX_PAGE_ENTRIES;
  /** The entries to send. There is more than one range if the member was removed and joined again meanwhile. */
  readonly #ranges: SeqRange[];

  constructor(source: BacklogSource, after: number) {
    this.#source = source;
    this.#epoch = source.position?.epoch;
    this.#ranges = [{ after, until: Infinity, isStarted: false }];
  }

  /** Whether the peer has received everything that the room has broadcast to its member. */
  get isDelivered(): boolean {
    const [first, ...others] = this.#ranges;
    return others.length === 0 && first !== undefined && first.after >= this.#endOf(first);
  }

  /** The member was removed by this entry, which is the last one to send. With 0 nothing more is sent. */
  truncateAt(seq: number): void {
    const last = this.#ranges.at(-1);
    if (last) last.until = Math.min(last.until, seq);
  }

  /** The member is attached (again), and receives what comes after this entry. */
  extend(after: number): void {
    if (this.#ranges.at(-1)?.until !== Infinity) this.#ranges.push({ after, until: Infinity, isStarted: false });
  }

  /** Reads the next page. Its entries are valid until the next `await`. */
  async readNextPage(): Promise<() => Iterable<ReplayEntry>> {
    const range = this.#currentRange();
    if (!range.isStarted) range.after = await this.#source.skipUnbroadcastAfter(range.after);
    range.isStarted = true;
    const page = await this.#source.readPage({ after: range.after, limit: this.#pageEntries, bytes: PAGE_BYTES });
    return () => this.#takeEntries(range, page);
  }

  /** `delivered`: how many entries of the last page were sent. */
  adaptPageSize(delivered: number): void {
    this.#pageEntries = Math.min(MAX_PAGE_ENTRIES, Math.max(MIN_PAGE_ENTRIES, 2 * delivered));
  }

  /**
   * Checks again after the read: the member may have been removed, or the log may have a new epoch. Entries that the room has
   * not broadcast yet are sent later.
   */
  *#takeEntries(range: SeqRange, { epoch, entries }: ReplayPage): Generator<ReplayEntry> {
    const end = this.#endOf(range);
    if (range.after >= end) return;
    const isSameLog = epoch === this.#epoch && this.#source.position?.epoch === this.#epoch;
    if (!isSameLog || entries[0]?.entry.seq !== range.after + 1) throw new Error('The log changed while a backlog was delivered.');
    for (const each of entries) {
      if (each.entry.seq > end) return;
      range.after = each.entry.seq;
      if (each.payload && !each.payload.erased) yield each;
    }
  }

  #currentRange(): SeqRange {
    for (;;) {
      const [first, second] = this.#ranges;
      if (!first) throw new Error('The backlog is already delivered.');
      if (!second || first.after < this.#endOf(first)) return first;
      this.#ranges.shift();
    }
  }

  #endOf({ until }: SeqRange): number {
    return Math.min(this.#source.position?.seq ?? 0, until);
  }
}

interface BacklogDeliveryOptions {
  /** Reserves memory for a page, until the peer has read it. */
  reserve: (bytes: number) => Promise<MemoryReservation>;
  onError: (error: unknown) => undefined;
  /** Called when the peer has received all backlogs: its rooms may broadcast to it again. */
  onCaughtUp: () => void;
  /** Whether the client can use the offset of an entry. */
  canUseOffsets: boolean;
}

/**
 * Sends one peer the backlogs of all of its rooms, page by page, as fast as it reads. When it has received everything,
 * broadcasts of all rooms begin again at the same moment. They must not begin earlier in one room: a plain Socket.IO client
 * reconnects with only the newest HLC value that it received, which must not be newer than an entry that another room has yet to
 * send.
 */
export class BacklogDelivery {
  readonly #peer: Peer;
  readonly #options: BacklogDeliveryOptions;
  readonly #backlogs = new Map<string, RoomBacklog>();
  /** The newest HLC value that was sent. */
  #latestHlc = 0;

  constructor(peer: Peer, options: BacklogDeliveryOptions) {
    this.#peer = peer;
    this.#options = options;
  }

  get(roomId: string): RoomBacklog | undefined {
    return this.#backlogs.get(roomId);
  }

  add(roomId: string, backlog: RoomBacklog): void {
    this.#backlogs.set(roomId, backlog);
  }

  remove(roomId: string): void {
    this.#backlogs.delete(roomId);
  }

  /** Resolves when the peer has received all backlogs, or is disconnected. */
  async deliver(): Promise<void> {
    const { onError } = this.#options;
    try {
      while (await this.#deliverPage());
    } catch (error) {
      // Disconnect: otherwise the client would think that it is up to date. It reconnects and resumes.
      onError(error);
      this.#peer.disconnect();
    }
  }

  /** Sends one page of one room; the rooms take turns. Returns false when nothing remains. */
  async #deliverPage(): Promise<boolean> {
    const { reserve } = this.#options;
    await this.#peer.waitForDrain();
    if (!this.#peer.isConnected) return false;
    const undelivered = [...this.#backlogs].find(([, { isDelivered }]) => !isDelivered);
    if (!undelivered) {
      this.#options.onCaughtUp();
      return false;
    }
    const [roomId, backlog] = undelivered;
    const reservation = await reserve(PAGE_BYTES);
    try {
      const takeEntries = await backlog.readNextPage();
      this.#emitPage(backlog, takeEntries());
    } finally {
      reservation.releaseAfter(this.#peer.waitForDrain());
    }
    this.#backlogs.delete(roomId);
    this.#backlogs.set(roomId, backlog);
    return true;
  }

  /** Stops at the soft limit of unread bytes. The rest of the page is read again later. */
  #emitPage(backlog: RoomBacklog, page: Iterable<ReplayEntry>): void {
    let emitted = 0;
    for (const each of page) {
      this.#emitEntry(backlog, each);
      emitted += 1;
      if (this.#peer.isOverSoftLimit) break;
    }
    backlog.adaptPageSize(emitted);
  }

  #emitEntry(backlog: RoomBacklog, { entry: { kind, hlc }, payload }: ReplayEntry): void {
    const event = `${kind}:success`;
    const { kind: _, ...fields } = payload ?? {};
    this.#latestHlc = Math.max(this.#latestHlc, hlc);
    const areOthersDelivered = [...this.#backlogs.values()].every((other) => other === backlog || other.isDelivered);
    if (!this.#options.canUseOffsets || !areOthersDelivered) this.#peer.emit(event, fields);
    else this.#peer.emit(event, fields, String(backlog.isDelivered ? this.#latestHlc : hlc));
  }
}
