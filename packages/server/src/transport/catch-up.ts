import type { AskAfter, ToldEntry, ToldPage } from '../chat/telling.ts';
import type { Hold } from './answer-memory.ts';
import type { Peer, Wire } from './wire.ts';

/** Entries that are read at a time; fewer where not so many can be told. */
export const PAGE_ENTRIES = 200;
const FEWEST_ENTRIES = 8;
/** And bytes of their bodies. */
const PAGE_BYTES = 256 * 1024;

/** A room that somebody is behind in. */
interface Source {
  readonly roomId: string;
  /** How far the room was told. */
  readonly position: { epoch: string; seq: number } | null;
  page(ask: AskAfter): Promise<ToldPage>;
  /** From where on to read for who was told everything up to an entry: in a large room thousands of quiet ones may follow. */
  pastQuietAfter(seq: number): Promise<number>;
  /** The peer hears the room like everybody from now on, if it still sits there. */
  hearAgain(peer: Peer): void;
}

interface Stretch {
  after: number;
  until: number;
  /** It was read from before. */
  isBegun: boolean;
}

/** What a peer is yet to be told of one room. */
export class Backlog {
  readonly #source: Source;
  readonly #epoch: string | undefined;
  #pageEntries = PAGE_ENTRIES;
  /** What is his to hear; more than one stretch when he was removed and came back meanwhile. */
  readonly #stretches: Stretch[];

  constructor(source: Source, after: number) {
    this.#source = source;
    this.#epoch = source.position?.epoch;
    this.#stretches = [{ after, until: Infinity, isBegun: false }];
  }

  /** Whether the peer has what is his of all that the room was told. */
  get isTold(): boolean {
    const [first, ...others] = this.#stretches;
    return others.length === 0 && first !== undefined && first.after >= this.#end(first);
  }

  /** He was removed by this entry, and is told no more than that; at 0 nothing more. */
  end(seq: number): void {
    const last = this.#stretches.at(-1);
    if (last) last.until = Math.min(last.until, seq);
  }

  /** He is seated (again), and is told what comes after this entry. */
  goOn(after: number): void {
    if (this.#stretches.at(-1)?.until !== Infinity) this.#stretches.push({ after, until: Infinity, isBegun: false });
  }

  /** Reads on from where he is. What comes of it may be told until the next wait. */
  async next(): Promise<() => Iterable<ToldEntry>> {
    const stretch = this.#current();
    if (!stretch.isBegun) stretch.after = await this.#source.pastQuietAfter(stretch.after);
    stretch.isBegun = true;
    const page = await this.#source.page({ after: stretch.after, limit: this.#pageEntries, bytes: PAGE_BYTES });
    return () => this.#take(stretch, page);
  }

  /** So many of a page were told. */
  paced(told: number): void {
    this.#pageEntries = Math.min(PAGE_ENTRIES, Math.max(FEWEST_ENTRIES, 2 * told));
  }

  hearAgain(peer: Peer): void {
    this.#source.hearAgain(peer);
  }

  /** He may have been removed while it was read, and the room may be another one. What the room was not told yet comes later. */
  *#take(stretch: Stretch, { epoch, entries }: ToldPage): Generator<ToldEntry> {
    const end = this.#end(stretch);
    if (stretch.after >= end) return;
    const isThatLog = epoch === this.#epoch && this.#source.position?.epoch === this.#epoch;
    if (!isThatLog || entries[0]?.entry.seq !== stretch.after + 1) throw new Error('The log changed while somebody caught up.');
    for (const each of entries) {
      if (each.entry.seq > end) return;
      stretch.after = each.entry.seq;
      if (each.told && !each.told.erased) yield each;
    }
  }

  #current(): Stretch {
    for (;;) {
      const [first, second] = this.#stretches;
      if (!first) throw new Error('Nothing is left to tell.');
      if (!second || first.after < this.#end(first)) return first;
      this.#stretches.shift();
    }
  }

  #end({ until }: Stretch): number {
    return Math.min(this.#source.position?.seq ?? 0, until);
  }
}

interface Surroundings {
  wire: Wire;
  /** Memory for what is read, until the peer has read it. */
  hold: (bytes: number) => Promise<Hold>;
  onError: (error: unknown) => undefined;
  /** It hears its rooms again. */
  told: () => void;
  /** Whether the peer's client knows what to do with the offset of an entry. */
  takesOffset: boolean;
}

/**
 * Everything that one peer is behind in. It is told page by page, as fast as it reads, until it has what its rooms have: then,
 * in the same moment, it hears all of them like everybody. Not one before the others: a stock client shows only the newest
 * tick that it was told when it comes back, and that must not be beyond what another room still owes it.
 */
export class CatchUp {
  readonly #peer: Peer;
  readonly #surroundings: Surroundings;
  readonly #backlogs = new Map<string, Backlog>();
  /** The newest tick that was told. */
  #tick = 0;

  constructor(peer: Peer, surroundings: Surroundings) {
    this.#peer = peer;
    this.#surroundings = surroundings;
  }

  of(roomId: string): Backlog | undefined {
    return this.#backlogs.get(roomId);
  }

  add(roomId: string, backlog: Backlog): void {
    this.#backlogs.set(roomId, backlog);
  }

  drop(roomId: string): void {
    this.#backlogs.delete(roomId);
  }

  /** Resolves when it hears its rooms like everybody, or has no connection any more. */
  async tell(): Promise<void> {
    const { wire, onError } = this.#surroundings;
    try {
      while (await this.#tellSome());
    } catch (error) {
      // It must not take silence for calm: it comes back, and is told then.
      onError(error);
      wire.end(this.#peer);
    }
  }

  /** One page of one room, each in its turn; false when there is nothing more to tell, and it hears them. */
  async #tellSome(): Promise<boolean> {
    const { wire, hold } = this.#surroundings;
    await wire.drained(this.#peer);
    if (!this.#peer.connected) return false;
    const behind = [...this.#backlogs].find(([, { isTold }]) => !isTold);
    if (!behind) {
      this.#hearAgain();
      return false;
    }
    const [roomId, backlog] = behind;
    const held = await hold(PAGE_BYTES);
    try {
      const take = await backlog.next();
      this.#tellAll(backlog, take());
    } finally {
      held.releaseOnce(wire.drained(this.#peer));
    }
    this.#backlogs.delete(roomId);
    this.#backlogs.set(roomId, backlog);
    return true;
  }

  /** No more than may wait for it: what is left of a page is read again. */
  #tellAll(backlog: Backlog, page: Iterable<ToldEntry>): void {
    let told = 0;
    for (const each of page) {
      this.#tellOne(backlog, each);
      told += 1;
      if (this.#surroundings.wire.isFull(this.#peer)) break;
    }
    backlog.paced(told);
  }

  #hearAgain(): void {
    this.#surroundings.told();
    for (const backlog of this.#backlogs.values()) backlog.hearAgain(this.#peer);
  }

  #tellOne(backlog: Backlog, { entry: { kind, tick }, told }: ToldEntry): void {
    const event = `${kind}:success`;
    const { kind: _, ...heard } = told ?? {};
    this.#tick = Math.max(this.#tick, tick);
    const othersAreTold = [...this.#backlogs.values()].every((other) => other === backlog || other.isTold);
    if (!this.#surroundings.takesOffset || !othersAreTold) this.#peer.emit(event, heard);
    else this.#peer.emit(event, heard, String(backlog.isTold ? this.#tick : tick));
  }
}
