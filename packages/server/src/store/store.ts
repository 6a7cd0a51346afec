/**
 * THE STORE CONTRACT. An engine keeps logs and knows no chat. The comments here are law; `contract-suite/` checks
 * them against any engine.
 *
 * A room is one log of entries, numbered from 1 without holes, and a set of keys with their current values. Any
 * number of nodes may use one store at once, so nothing is decided on what was read: every write names what it
 * rests on, and the store refuses it as `stale` when that has moved.
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
  /** Unique name, made by whoever appended it. */
  id: string;
  /** The `id` of the entry before it that was not quiet; null when there is none. Who knows it has missed nothing that was told. */
  prev: string | null;
  /** Milliseconds since 1970 by the store's clock; never less than the entry before it. */
  at: number;
  /**
   * Orders entries of different rooms, and grows inside a room: an entry that is told after another one, in whatever
   * room, has a larger tick. An engine that cannot promise that may give a smaller one, never a larger: who reads on
   * from a tick may then meet an entry again, and misses none.
   */
  tick: number;
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
  sets?: [key: string, value: Json][];
  /** Seqs whose bodies are erased, for real: nothing of them stays on the disk once the engine came to rest. Unknown seqs are passed over. */
  erases?: number[];
  /** Leases a key that this draft gives a value: it is `node`'s to keep (see `hold`). A later value keeps the lease. */
  lease?: { key: string; node: string };
  /** Leaves the holder's ticket for a key, or takes it away with null (see `tickets`). It runs out after `ttl` milliseconds, if that is given. */
  ticket?: { holder: string; key: string; value: Json; ttl?: number };
  /** On the last draft: the room ends with it. Listeners hear it, then log and keys are gone, and the name is free for a new epoch. */
  ends?: boolean;
}

export interface Key {
  value: Json;
  /** The entry that set it. */
  seq: number;
  /** Where its mark is (see `mark`); absent before the first. */
  mark?: number;
  /** Absent without a lease; `held` until it is released, even when its node is gone: what has run out says `lapsed`. */
  lease?: 'held' | 'released';
}

/** What a decision rests on. */
export interface Facts {
  /** Null when there is no such room. */
  epoch: string | null;
  /** The newest entry; 0 when there is no such room. */
  head: number;
  /** The asked keys that have a value. Values are the caller's to keep, not to change. */
  keys: Map<string, Key>;
  /** The asked entries that exist. */
  entries: Map<number, Entry>;
  /** For each asked parent the families directly beneath it, and how many keys each has. */
  counts: Map<string, Map<string, number>>;
}

export interface Ask {
  keys?: string[];
  seqs?: number[];
  /**
   * Parents of families: with the keys `a/b/c` and `a/b/d`, parent `a` is answered `{ b: 2 }`; families at the top have
   * the parent `''`. Counts are kept, not counted: the cost is one row a family.
   */
  counts?: string[];
}

export interface Append {
  drafts: Draft[];
  /** The life of the room that was decided on; null: the room must not exist, and this opens it. */
  epoch: string | null;
  /** Keys that the decision rests on, with the seq that each had; 0: it had no value. */
  given: [key: string, seq: number][];
  /** Entries that the decision rests on, by their ids: stale when the log has something else there, as it may after a fork. */
  entries?: [seq: number, id: string][];
  /**
   * Names this append. When an append with this name was kept before in this room, nothing is written and the answer
   * is that of the first time, whatever happened since: it is looked at before `epoch` and `given`. Remembered for 24
   * hours at least, in the room's log: who opens or ends a room by name may do so again once it has ended, and an append
   * of which an entry was trimmed was never kept. After a `fork` the answer has the new epoch: that is where it stands.
   */
  once?: string;
  /** A key whose lease must have run out; the append is stale while somebody holds it, and when it has no lease. */
  lapsed?: string;
}

/** Where an append stands. */
export interface Kept {
  epoch: string;
  entries: { seq: number; id: string; at: number }[];
}

/**
 * `appended`: kept as durably as the engine promises, and every later read by anybody sees it.
 * `repeated`: it was kept before (`once`); these are its entries.
 * `stale`: nothing was written; read again and decide again.
 */
export type Appended = ({ outcome: 'appended' | 'repeated' } & Kept) | { outcome: 'stale' };

/** Entries in the order of their seqs. */
export interface Page {
  /** Null when there is no such room. */
  epoch: string | null;
  /** The newest entry of the room, read in the same moment; 0 when there is none. */
  head: number;
  /** The `id` of the newest entry that was not quiet, read in the same moment. */
  tail: string | null;
  /** The oldest entry that the log still has, or would have: one more than the head when all were trimmed; 0 without a room. */
  oldest: number;
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

/** What was appended to a room; `ended` when the room's log ended with it. */
export interface Told {
  epoch: string;
  entries: Entry[];
  ended: boolean;
}

/** Hears what happens in a room. It never throws. */
export interface Listener {
  appended(told: Told): void;
  /** What somebody announced: not kept, and perhaps late, twice, or not at all. */
  announced(signal: Json): void;
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

/** The engine cannot keep or read something now. Nothing of the operation was written. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  /**
   * `full`: no space; reading goes on, and writing as soon as there is space.
   * `busy`: as much as may wait is waiting.
   * `failed`: the medium failed or is damaged; reading may go on, writing needs an operator.
   * `closed`: the store was closed.
   */
  readonly reason: 'full' | 'busy' | 'failed' | 'closed';

  constructor(reason: StoreError['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** The epoch of a fork: what stands before the dot is the same in all forks of a log, so that a reader knows the room again. */
export const forkOf = (epoch: string): string => `${epoch.split('.', 1)[0]}.${randomUUID().slice(0, 13)}`;

/** UTF-8 bytes of bodies that a page holds at most, then it ends early (with `more`); it has one entry at least. */
export const PAGE_BYTES = 1024 * 1024;

/** Every operation may reject with a `StoreError`, and with nothing else. */
export interface Store {
  /** What is asked of a room, all of one moment. Costs what is asked, whatever the room's length and size. */
  read(room: string, ask: Ask): Promise<Facts>;

  /**
   * Adds all drafts of one append, or none. Appends to a room are kept in the order in which the engine took them,
   * and one node's appends are taken in the order in which it asked. Every draft list has one draft at least.
   */
  append(room: string, append: Append): Promise<Appended>;

  /** What an append of this name was answered the first time, or null: `once` for somebody who may no longer append. */
  recall(room: string, once: string): Promise<Kept | null>;

  /**
   * A page of the log: the `limit` entries nearest to `before` (below it) or to `after` (above it), the newest
   * without either; only listed ones with `listed`. Costs the page, whatever the room's length.
   */
  page(room: string, ask: { before?: number; after?: number; listed?: boolean; limit: number }): Promise<Page>;

  /**
   * The keys of a family (`member` has `member/aya`, not `member/a/b`) in the order of their names' UTF-8 bytes, after
   * the named one; `limit` at most. Names come without the family. Costs the page.
   */
  family(
    room: string,
    family: string,
    ask: { after?: string; limit: number },
  ): Promise<{ keys: [name: string, key: Key][]; more: boolean }>;

  /** Rooms in the order of their names' UTF-8 bytes, after the named one. */
  rooms(ask: { after?: string; limit: number }): Promise<{ rooms: RoomHead[]; more: boolean }>;

  /**
   * From the moment this resolves, `listener` hears what any node appends to the room. An append of this node is
   * heard before its own `append` resolves, and appends of one room in the order of their seqs. Appends of other
   * nodes may come late, twice, out of order or not at all: who must not miss one compares `prev` and asks `page`.
   * Quiet entries are told too.
   */
  subscribe(room: string, listener: Listener): Promise<() => void>;

  /** Tells the listeners of the room, on every node, what is not kept. Resolves when those of this node have heard it. */
  announce(room: string, signal: Json): Promise<void>;

  /**
   * Moves a key's mark to a seq; it never goes back, and ends with its key. Answers where it is then, null without such
   * a key. A mark is no entry: nobody is told.
   */
  mark(room: string, key: string, seq: number): Promise<number | null>;

  /**
   * Begins another life of a log that was found to be forked: a new epoch for what is there (`forkOf` the named one),
   * unless it has another one than that already. Answers the epoch in force, null without a room. Tickets keep the epoch that they were left
   * in. Nobody is told; who follows the log finds out.
   */
  fork(room: string, epoch: string): Promise<string | null>;

  /**
   * The entries below a seq leave the log: nobody reads them again, and nothing of them stays on the disk once the engine
   * came to rest, but the id that the next one has as its `prev`. Keys stay, and so do head and tail. Nobody is told.
   */
  trim(room: string, below: number): Promise<void>;

  /** The holder's tickets that have not run out, in the order of their rooms' and keys' UTF-8 bytes, `limit` at most. A ticket ends with its room. */
  tickets(holder: string, limit: number): Promise<Ticket[]>;

  /**
   * Leases. A leased key is kept by a node for somebody who is connected to it, and runs out when the node lets go of
   * it (`release`) or is gone itself (it stopped to `beat`). The store only says what has run out: what follows is the
   * domain's to decide, by an append with `lapsed`. A lease ends with its key.
   */

  /** The node is alive, and for `ttl` milliseconds more by the store's clock; what it holds runs out then. */
  beat(node: string, ttl: number): Promise<void>;

  /** The lease is `node`'s from now on, until it releases it or is gone. False when the key is not of this `seq` or has no lease. */
  hold(room: string, key: { name: string; seq: number }, node: string): Promise<boolean>;

  /** The lease runs out in `ttl` milliseconds, unless somebody holds it again. Nothing happens when another node holds it. */
  release(room: string, key: string, node: string, ttl: number): Promise<void>;

  /** Leases that have run out, `limit` at most. Asking changes nothing. */
  lapsed(limit: number): Promise<{ room: string; key: string }[]>;

  /** Whether it can be written to, as far as is known without writing. */
  readonly writable: boolean;

  /** Finishes what was asked, then lets go of everything. Later operations reject as `closed`. */
  close(): Promise<void>;
}
