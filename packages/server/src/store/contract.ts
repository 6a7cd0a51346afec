/**
 * THE STORE CONTRACT. An engine keeps logs and knows no chat. The comments here are law; `contract-suite/` checks
 * them against any engine.
 *
 * A room is one log of entries, numbered from 1 without holes, and a set of keys with their current values. Any
 * number of nodes may use one store at once, so nothing is decided on what was read: every write names what it
 * rests on, and the store refuses it as `stale` when that has moved.
 *
 * Keys beneath `entry/7` (`entry/7/a`, `entry/7/a/b`) belong to the entry 7: they go when it is trimmed. Who sets one rests
 * on that entry (`Append.entries`), so that none is set afterwards. To all else they are keys like any other.
 *
 * Strings are data: rooms, nodes, names of appends, and the parts of a key between its slashes are well-formed Unicode,
 * not empty and without U+0000; none is ever taken for another one.
 */
import { randomUUID } from 'node:crypto';

/** Anything that JSON can say. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** One thing that happened in a room. */
export interface Entry {
  /** Its place: 1 for the first entry of a room, then one more each. */
  seq: number;
  /** Unique name, made by whoever appended it; or by the engine, where it had to ask for a named append once more. */
  id: string;
  /** The `id` of the entry before it that was not quiet; null when there is none. Who knows it has missed nothing that was told. */
  prev: string | null;
  /** Milliseconds since 1970 by the store's clock; never less than the entry before it. */
  at: number;
  /**
   * Grows inside a room, and orders entries of different rooms: an entry that is told after one of another room has a
   * tick that is larger, but for `tickSkew`. Who reads on from a tick less that may meet an entry again, and misses none.
   */
  hlc: number;
  /** Who did it, as others see it. */
  by: string;
  /** Opaque identity of who did it. Never leaves the server. */
  author: string;
  kind: string;
  /** Null once erased; the rest of the entry stays for ever, so that no reader mistakes it for a gap. */
  body: { [name: string]: Json } | null;
  /** Kept and in order, but not told one by one. */
  quiet: boolean;
  /** Shown by a page of history. */
  listed: boolean;
}

/** An entry to be, with what it does to the room's keys and to older entries; all of it happens, or nothing. */
export interface Draft {
  id: string;
  by: string;
  author: string;
  kind: string;
  body: { [name: string]: Json };
  quiet?: boolean;
  listed?: boolean;
  /** Keys and their new values; null removes a key. Of two drafts of one append that set the same key the later counts. */
  keyUpdates?: [key: string, value: Json][];
  /** Seqs whose bodies are erased, for real: nothing of them stays on the disk once the engine came to rest. Unknown seqs are passed over. */
  eraseSeqs?: number[];
  /** Leases a key that this draft gives a value: it is `node`'s to keep (see `hold`). A later value keeps the lease. */
  lease?: { key: string; node: string };
  /**
   * Each leaves the holder's ticket for a key, or takes it away with null (see `tickets`). It runs out after `ttl`
   * milliseconds, if that is given. Of two with the same holder and key the later counts.
   */
  tickets?: DraftTicket[];
  /** On the last draft: the room ends with it. Listeners hear it, then log and keys are gone, and the name is free for a new epoch. */
  endsRoom?: boolean;
}

export interface DraftTicket {
  holder: string;
  key: string;
  value: Json;
  ttl?: number;
}

export interface KeyState {
  value: Json;
  /** The entry that set it. */
  seq: number;
  /** Where its mark is (see `mark`); absent before the first. */
  mark?: number;
  /**
   * Absent without a lease; `held` until it is released, even when its node is gone: what has run out says the operation
   * `lapsed`. `lapsed` once it was set aside.
   */
  lease?: 'held' | 'released' | 'expired';
}

/** What a decision rests on. */
export interface RoomFacts {
  /** Null when there is no such room. */
  epoch: string | null;
  /** The newest entry; 0 when there is no such room. */
  head: number;
  /** UTF-8 bytes of all bodies that the log has, as JSON; 0 when there is no such room. */
  bytes: number;
  /** The asked keys that have a value. Values are the caller's to keep, not to change. */
  keys: Map<string, KeyState>;
  /** The asked entries that exist. */
  entries: Map<number, Entry>;
  /** For each asked parent the families directly beneath it, and how many keys each has. */
  counts: Map<string, Map<string, number>>;
}

export interface ReadQuery {
  keys?: string[];
  seqs?: number[];
  /**
   * Parents of families: with the keys `a/b/c` and `a/b/d`, parent `a` is answered `{ b: 2 }`; families at the top have
   * the parent `''`. Counts are kept, not counted: the cost is one row a family.
   */
  counts?: string[];
}

export interface AppendRequest {
  drafts: Draft[];
  /** The life of the room that was decided on; null: the room must not exist, and this opens it. */
  epoch: string | null;
  /** Keys that the decision rests on, with the seq that each had; 0: it had no value. */
  expectedVersions: [key: string, seq: number][];
  /** The newest entry that the decision rests on: stale when the log has gone on. Without it only the rest is looked at. */
  expectedHead?: number;
  /** Stale when the bodies of the log have so many bytes or more, before these drafts. */
  bytesBelow?: number;
  /** Entries that the decision rests on, by their ids: stale when the log has something else there, as it may after a fork. */
  expectedEntries?: [seq: number, id: string][];
  /**
   * Names this append. When an append with this name was kept before in this room, nothing is written and the answer
   * is that of the first time, whatever happened since: it is looked at before all conditions. Remembered for 24
   * hours at least, in the room's log: who opens or ends a room by name may do so again once it has ended, and an append
   * of which an entry was trimmed was never kept. After a `fork` the answer has the new epoch: that is where it stands.
   */
  idempotencyKey?: string;
  /** A key whose lease must have run out, or was set aside; the append is stale while somebody holds it, and when it has no lease. */
  requiredExpiredLease?: string;
}

/** Where an append stands. */
export interface AppendReceipt {
  epoch: string;
  entries: { seq: number; id: string; at: number }[];
}

/**
 * `appended`: kept as durably as the engine promises, and every later read by anybody sees it.
 * `repeated`: it was kept before (`once`); these are its entries.
 * `stale`: nothing was written; read again and decide again.
 */
export type AppendResult = ({ outcome: 'appended' | 'repeated' } & AppendReceipt) | { outcome: 'stale' };

/** Entries in the order of their seqs. */
export interface Page {
  /** Null when there is no such room. */
  epoch: string | null;
  /** The newest entry of the room, read in the same moment; 0 when there is none. */
  head: number;
  /** The `id` of the newest entry that was not quiet, read in the same moment. */
  lastBroadcastId: string | null;
  /** The tick of the newest entry, read in the same moment, trimmed or not; 0 without a room. */
  hlc: number;
  /** The oldest entry that the log still has, or would have: one more than the head when all were trimmed; 0 without a room. */
  oldest: number;
  /** UTF-8 bytes of all bodies that the log has, as JSON, read in the same moment. */
  bytes: number;
  /** The store's clock in that moment, by which entries have their `at`: milliseconds since 1970. */
  now: number;
  entries: Entry[];
  /** Whether there are more in the direction of the question. */
  more: boolean;
}

export interface RoomHead {
  room: string;
  epoch: string;
  head: number;
  /** When its newest entry was added. */
  at: number;
}

/** A room of a list, with the asked keys and counts as `read` answers them, all of one moment. */
export type RoomSummary = RoomHead & Pick<RoomFacts, 'keys' | 'counts'>;

/** What was appended to a room; `ended` when the room's log ended with it. */
export interface AppendNotice {
  epoch: string;
  entries: Entry[];
  ended: boolean;
}

/** Hears what happens in a room. It never throws. */
export interface Listener {
  onAppend(notice: AppendNotice): void;
  /** What somebody announced: not kept, and perhaps late, twice, or not at all. */
  onPublish(message: Json): void;
  /** The engine knows that something may have been missed, for a connection was cut perhaps: only the log can tell. */
  onGap(): void;
}

/** How much a store holds. */
export interface Usage {
  rooms: number;
  /** What the store takes of its medium, overhead and all. Where others use the same medium, what they take is in it. */
  bytes: number;
}

/** What somebody may come back with: found by who he is, it says where he was. */
export interface Ticket {
  room: string;
  key: string;
  value: Json;
  /** The entry that left it, and the life of the log that it is in. */
  seq: number;
  epoch: string;
}

/**
 * A room on its way to another store, in parts; JSON can say it. A lease comes without its node: it has run out where it
 * arrives.
 */
export interface RoomChunk {
  room: string;
  /** The room as it is as a whole, the same in all its parcels unless it was written to meanwhile. */
  head: { epoch: string; head: number; lastBroadcastId: string | null; at: number; hlc: number; oldest: number };
  entries: Entry[];
  keys: [key: string, state: KeyState][];
  tickets: (Omit<Ticket, 'room'> & { holder: string; until: number | null })[];
  /** Named appends (see `once`): the name, the seq of the first entry, and how many there are. */
  idempotencyKeys: [idempotencyKey: string, first: number, count: number][];
  /** What to ask for the next part; null with the last. */
  next: string | null;
}

/** The engine cannot keep or read something now. Nothing of the operation was written, unless it is `unsure`. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  /**
   * `full`: no space; reading goes on, and writing as soon as there is space.
   * `busy`: as much as may wait is waiting.
   * `failed`: the medium failed or is damaged; reading may go on, writing needs an operator.
   * `unsure`: it may have been kept or not; asked again with the same `once` it is kept once.
   * `closed`: the store was closed.
   */
  readonly reason: 'full' | 'busy' | 'failed' | 'unsure' | 'closed';

  constructor(reason: StoreError['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

export type Durability = 'memory' | 'fast' | 'replicated' | 'fsync';

/** The epoch of a fork: what stands before the dot is the same in all forks of a log, so that a reader knows the room again. */
export const nextEpoch = (epoch: string): string => `${epoch.split('.', 1)[0]}.${randomUUID().slice(0, 13)}`;

/** What is asked of the log as a page. */
export interface PageQuery {
  before?: number;
  after?: number;
  listed?: boolean;
  /** Entries at most. */
  limit: number;
  /** UTF-8 bytes of bodies, as JSON, at most: `PAGE_BYTES` when it is not said, and never more. */
  bytes?: number;
}

/** UTF-8 bytes of bodies that any page holds at most. */
export const MAX_PAGE_BYTES = 1024 * 1024;

/** UTF-8 bytes of bodies that this page holds at most. */
export const pageByteLimit = ({ bytes = MAX_PAGE_BYTES }: PageQuery): number => Math.min(bytes, MAX_PAGE_BYTES);

/** Entries, keys, tickets and named appends that a parcel holds at most, together. */
export const MAX_CHUNK_ITEMS = 1_000;
/** UTF-8 bytes of the same as JSON; it has one at least. */
export const MAX_CHUNK_BYTES = 1024 * 1024;

/** Every operation may reject with a `StoreError`, and with nothing else. */
export interface Store {
  /** What is asked of a room, all of one moment. Costs what is asked, whatever the room's length and size. */
  read(room: string, query: ReadQuery): Promise<RoomFacts>;

  /**
   * Adds all drafts of one append, or none. Appends to a room are kept in the order in which the engine took them,
   * and one node's appends are taken in the order in which it asked. Every draft list has one draft at least.
   */
  append(room: string, request: AppendRequest): Promise<AppendResult>;

  /** What an append of this name was answered the first time, or null: `once` for somebody who may no longer append. */
  findByIdempotencyKey(room: string, idempotencyKey: string): Promise<AppendReceipt | null>;

  /**
   * A page of the log: the `limit` entries nearest to `before` (below it) or to `after` (above it), the newest
   * without either; only listed ones with `listed`. It ends early, with `more`, before the entry whose body would be beyond
   * `bytes`; the nearest entry is in it however large it is. Costs the page, whatever the room's length.
   */
  readPage(room: string, query: PageQuery): Promise<Page>;

  /**
   * The keys of a family (`member` has `member/aya`, not `member/a/b`) in the order of their names' UTF-8 bytes, after
   * the named one; `limit` at most. Names come without the family. Costs the page.
   */
  listKeys(
    room: string,
    family: string,
    query: { after?: string; limit: number },
  ): Promise<{ keys: [name: string, key: KeyState][]; more: boolean }>;

  /**
   * Rooms in the order of their names' UTF-8 bytes, after the named one, each with what is asked of it. Costs the page,
   * and no question more for each room.
   */
  listRooms(
    query: { after?: string; limit: number } & Pick<ReadQuery, 'keys' | 'counts'>,
  ): Promise<{ rooms: RoomSummary[]; more: boolean }>;

  /** How much the store holds, perhaps as of a few seconds ago. Costs the same whatever it holds. */
  usage(): Promise<Usage>;

  /**
   * From the moment this resolves, `listener` hears what any node appends to the room. An append of this node is
   * heard before its own `append` resolves, and appends of one room in the order of their seqs. Appends of other
   * nodes may come late, twice, out of order or not at all: who must not miss one compares `prev` and asks `page`.
   * Quiet entries are told too.
   */
  subscribe(room: string, listener: Listener): Promise<() => void>;

  /** Tells the listeners of the room, on every node, what is not kept. Resolves when those of this node have heard it. */
  publish(room: string, message: Json): Promise<void>;

  /**
   * Moves a key's mark to a seq; it never goes back, and ends with its key. Answers where it is then, null without such
   * a key. A mark is no entry: nobody is told.
   */
  advanceMark(room: string, key: string, seq: number): Promise<number | null>;

  /**
   * Begins another life of a log that was found to be forked: a new epoch for what is there (`forkOf` the named one),
   * unless it has another one than that already. Answers the epoch in force, null without a room. Tickets keep the epoch that they were left
   * in. Nobody is told; who follows the log finds out.
   */
  startNewEpoch(room: string, epoch: string): Promise<string | null>;

  /**
   * The entries below a seq leave this life of the log, and with each the keys beneath it (`entry/7/a`): nobody reads them
   * again, and nothing of them stays on the disk once the engine came to rest, but the id that the next entry has as its
   * `prev`. All other keys stay, and so do head and tail. Nobody is told. When the room has another life, nothing happens.
   * It may go in portions, from the oldest entry on, with others between them; after a failure some may be gone.
   */
  trim(room: string, to: { epoch: string; below: number }): Promise<void>;

  /** The holder's tickets that have not run out, in the order of their rooms' and keys' UTF-8 bytes, `limit` at most. A ticket ends with its room. */
  listTickets(holder: string, limit: number): Promise<Ticket[]>;

  /**
   * Leases. A leased key is kept by a node for somebody who is connected to it, and runs out when the node lets go of
   * it (`release`) or is gone itself (it stopped to `beat`). The store only says what has run out: what follows is the
   * domain's to decide, by an append with `lapsed`. A lease ends with its key.
   */

  /** The node is alive, and for `ttl` milliseconds more by the store's clock; what it holds runs out then. */
  heartbeat(node: string, ttl: number): Promise<void>;

  /** The lease is `node`'s from now on, until it releases it or is gone. False when the key is not of this `seq` or has no lease. */
  acquireLease(room: string, key: { name: string; seq: number }, node: string): Promise<boolean>;

  /** The lease runs out in `ttl` milliseconds, unless somebody holds it again. Nothing happens when another node holds it. */
  releaseLease(room: string, key: string, node: string, ttl: number): Promise<void>;

  /**
   * A lease that has run out is nobody's, and is listed again only after `ttl` milliseconds. Until somebody holds it an append
   * with `lapsed` passes. False, and nothing happens, when it has not run out.
   */
  expireLease(room: string, key: string, ttl: number): Promise<boolean>;

  /** Leases that have run out, `limit` at most. Asking changes nothing. */
  listExpiredLeases(limit: number): Promise<{ room: string; key: string }[]>;

  /**
   * A part of the room, as it is, of `PARCEL_ITEMS` and `PARCEL_BYTES` at most; null without a room. `next` of one part
   * asks for the following one, null for the first. The entries come first, in the order of their seqs, then the rest, in
   * whatever order; each once, unless the room is written to meanwhile. Tickets that have run out may be left out.
   */
  exportChunk(room: string, next: string | null): Promise<RoomChunk | null>;

  /**
   * Puts what was packed into this store, as it is: epoch, seqs, ticks and all; later ticks are larger. Parts are put in
   * their order, where there is no such room or only such parts of it; the same part twice is as good as once. Named
   * appends are remembered for 24 hours at least from then on. Nobody is told, and nobody may write to the room until all
   * of it is there.
   */
  importChunk(chunk: RoomChunk): Promise<void>;

  /**
   * What `appended` says has been survived: `memory`: nothing; `fast`: the end of this process; `replicated`: the loss of
   * one machine, with another holding a copy; `fsync`: the loss of power, for it is on a disk.
   */
  readonly durability: Durability;

  /**
   * By how many ticks (microseconds) an entry may seem to be older than one of another room that was told before it; 0
   * where there is one clock, and one way by which everything is told.
   */
  readonly maxClockSkewUs: number;

  /** By how many milliseconds the news of other nodes came later than they may, the last time; 0 where there is one process. */
  readonly notifyLagMs: number;

  /** Whether it can be written to, as far as is known without writing. */
  readonly isWritable: boolean;

  /** Finishes what was asked, then lets go of everything. Later operations reject as `closed`. */
  close(): Promise<void>;
}
