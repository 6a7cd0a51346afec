/** Delivers the backlog of a slow or returning peer from the logs, page by page, as fast as it reads. */
import type { ReplayEntry, ReplayPage, ReplayQuery } from '../domain/entry-payloads.ts';
import type { MemoryReservation } from '../limits/response-memory.ts';
import type { Peer } from './peer.ts';

/** Entries that are read at a time; fewer where not so many can be told. */
export const MAX_PAGE_ENTRIES = 200;
const MIN_PAGE_ENTRIES = 8;
/** And bytes of their bodies. */
const PAGE_BYTES = 256 * 1024;

/** A room of which a slow consumer has not received all entries. */
interface BacklogSource {
  readonly roomId: string;
  /** How far the room was told. */
  readonly position: { epoch: string; seq: number } | null;
  readPage(query: ReplayQuery): Promise<ReplayPage>;
  /** From where on to read for who was told everything up to an entry: in a large room thousands of quiet ones may follow. */
  skipUnbroadcastAfter(seq: number): Promise<number>;
}

interface SeqRange {
  after: number;
  until: number;
  /** It was read from before. */
  isStarted: boolean;
}

/** What a peer is yet to be told of one room. */
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

  /** He was removed by this entry, and is told no more than that; at 0 nothing more. */
  truncateAt(seq: number): void {
    const last = this.#ranges.at(-1);
    if (last) last.until = Math.min(last.until, seq);
  }

  /** He is seated (again), and is told what comes after this entry. */
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

  /** So many of a page were told. */
  adaptPageSize(delivered: number): void {
    this.#pageEntries = Math.min(MAX_PAGE_ENTRIES, Math.max(MIN_PAGE_ENTRIES, 2 * delivered));
  }

  /** He may have been removed while it was read, and the room may be another one. What the room was not told yet comes later. */
  *#takeEntries(range: SeqRange, { epoch, entries }: ReplayPage): Generator<ReplayEntry> {
    const end = this.#endOf(range);
    if (range.after >= end) return;
    const isSameLog = epoch === this.#epoch && this.#source.position?.epoch === this.#epoch;
    if (!isSameLog || entries[0]?.entry.seq !== range.after + 1) throw new Error('The log changed while somebody caught up.');
    for (const each of entries) {
      if (each.entry.seq > end) return;
      range.after = each.entry.seq;
      if (each.payload && !each.payload.erased) yield each;
    }
  }

  #currentRange(): SeqRange {
    for (;;) {
      const [first, second] = this.#ranges;
      if (!first) throw new Error('Nothing is left to tell.');
      if (!second || first.after < this.#endOf(first)) return first;
      this.#ranges.shift();
    }
  }

  #endOf({ until }: SeqRange): number {
    return Math.min(this.#source.position?.seq ?? 0, until);
  }
}

interface BacklogDeliveryOptions {
  /** Memory for what is read, until the peer has read it. */
  reserve: (bytes: number) => Promise<MemoryReservation>;
  onError: (error: unknown) => undefined;
  /** It hears its rooms again. */
  onCaughtUp: () => void;
  /** Whether the peer's client knows what to do with the offset of an entry. */
  canUseOffsets: boolean;
}

/**
 * Everything that one peer is behind in. It is told page by page, as fast as it reads, until it has what its rooms have: then,
 * in the same moment, it hears all of them like everybody. Not one before the others: a stock client shows only the newest
 * tick that it was told when it comes back, and that must not be beyond what another room still owes it.
 */
export class BacklogDelivery {
  readonly #peer: Peer;
  readonly #options: BacklogDeliveryOptions;
  readonly #backlogs = new Map<string, RoomBacklog>();
  /** The newest tick that was told. */
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

  /** Resolves when it hears its rooms like everybody, or has no connection any more. */
  async deliver(): Promise<void> {
    const { onError } = this.#options;
    try {
      while (await this.#deliverPage());
    } catch (error) {
      // It must not take silence for calm: it comes back, and is told then.
      onError(error);
      this.#peer.disconnect();
    }
  }

  /** One page of one room, each in its turn; false when there is nothing more to tell, and it hears them. */
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

  /** No more than may wait for it: what is left of a page is read again. */
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
