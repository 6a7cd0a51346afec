/**
 * The store contract: the interface that every storage engine implements. An engine stores logs and knows nothing about chat. The
 * comments here are normative; `@engawa/store-conformance` tests them with any engine.
 *
 * A room is one log of entries, numbered from 1 without gaps, and a set of keys with their current values. Any number of nodes
 * may use one store at the same time. So no decision is based on a read alone: every write names what it depends on, and the
 * store refuses it as `stale` if that has changed.
 *
 * Keys below `entry/7` (`entry/7/a`, `entry/7/a/b`) belong to entry 7 and are removed when it is trimmed. An append that sets
 * such a key must depend on the entry (`expectedEntries`), so that none is set afterwards. In all other respects they are keys
 * like any other.
 *
 * Strings are data: rooms, nodes, idempotency keys, and the parts of a key between its slashes are well-formed Unicode, not empty
 * and without U+0000. An engine must never confuse two different strings.
 */
import { randomUUID } from 'node:crypto';

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** One change of a room. */
export interface Entry {
  /** Its number in the room: 1 for the first entry, then consecutive. */
  seq: number;
  /** Unique id, chosen by the caller of `append`; or by the engine, if it had to retry an append with an idempotency key. */
  id: string;
  /**
   * The `id` of the last broadcast entry before it (not `quiet`); null if there is none. A reader whose last id equals `prev` has
   * not missed any broadcast entry.
   */
  prev: string | null;
  /** Milliseconds since 1970 by the store's clock; never less than that of the entry before it. */
  at: number;
  /**
   * Hybrid logical clock value, in microseconds. It increases within a room, and orders entries of different rooms: an entry that
   * is published after one of another room has a larger value, except for up to `maxClockSkewUs`. A reader that continues from a
   * value less that skew may receive entries again, but misses none.
   */
  hlc: number;
  /** The username of the author, as others see it. */
  by: string;
  /** Opaque identity of the author. Never leaves the server. */
  author: string;
  kind: string;
  /** Null once erased. The rest of the entry stays, so that readers do not take it for a gap. */
  body: { [name: string]: Json } | null;
  /** In the log and in order, but not broadcast. */
  quiet: boolean;
  /** Part of the history that pages with `listed` return. */
  listed: boolean;
}

/** A new entry, with its effects on the room's keys and on older entries. They are applied together or not at all. */
export interface Draft {
  id: string;
  by: string;
  author: string;
  kind: string;
  body: { [name: string]: Json };
  quiet?: boolean;
  listed?: boolean;
  /** Keys and their new values; null removes a key. If two drafts of one append set the same key, the later one counts. */
  keyUpdates?: [key: string, value: Json][];
  /** Seqs whose bodies are erased. Once the engine is idle, nothing of them remains on disk. Unknown seqs are ignored. */
  eraseSeqs?: number[];
  /**
   * Gives the key, which this draft must set, a lease of `node` (see `acquireLease`). Later values of the key do not change the
   * lease.
   */
  lease?: { key: string; node: string };
  /**
   * Each sets the holder's ticket for a key, or removes it with null (see `listTickets`). With a `ttl`, the ticket expires after
   * that many milliseconds. Of two with the same holder and key, the later one counts.
   */
  tickets?: DraftTicket[];
  /**
   * On the last draft: the room ends with it. Listeners are notified, then log and keys are removed, and the name is free for a
   * new epoch.
   */
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
  /** The entry that set the key. */
  seq: number;
  /** Its mark (see `advanceMark`); absent before the first call. */
  mark?: number;
  /**
   * Absent without a lease. `held` until it is released, even if its node is gone: only `listExpiredLeases` finds that. `expired`
   * after `expireLease`.
   */
  lease?: 'held' | 'released' | 'expired';
}

/** The facts that a decision depends on. */
export interface RoomFacts {
  /** Null if the room does not exist. */
  epoch: string | null;
  /** The newest entry; 0 if the room does not exist. */
  head: number;
  /** Size of all bodies in the log, in UTF-8 bytes as JSON; 0 if the room does not exist. */
  bytes: number;
  /** The requested keys that have a value. Callers may retain values, but must not change them. */
  keys: Map<string, KeyState>;
  /** The requested entries that exist. */
  entries: Map<number, Entry>;
  /** For each requested parent: the families directly below it, and the number of keys of each. */
  counts: Map<string, Map<string, number>>;
}

export interface ReadQuery {
  keys?: string[];
  seqs?: number[];
  /**
   * Parents of families: with the keys `a/b/c` and `a/b/d`, the result for parent `a` is `{ b: 2 }`. Top-level families have the
   * parent `''`. Engines maintain the counts: reading them costs one row for each family.
   */
  counts?: string[];
}

export interface AppendRequest {
  drafts: Draft[];
  /** The epoch that the decision depends on. Null: the room must not exist, and this append creates it. */
  epoch: string | null;
  /** Keys that the decision depends on, with the seq of each; 0 for a key without a value. */
  expectedVersions: [key: string, seq: number][];
  /** Stale if the newest entry is a different one. Optional: other entries do not matter then. */
  expectedHead?: number;
  /** Stale if the bodies of the log have this many bytes or more, before these drafts. */
  bytesBelow?: number;
  /**
   * Entries that the decision depends on, with their ids. Stale if the log has another entry there, which may happen after a
   * failover.
   */
  expectedEntries?: [seq: number, id: string][];
  /**
   * Idempotency key. If the room has an append with the same key, nothing is written and the result is that of the first append,
   * whatever happened since: the key is checked before all conditions. Keys are stored for at least 24 hours, in the room's log:
   * the append that creates or ends a room may be repeated once the room has ended, and an append with a trimmed entry counts as
   * unknown. After `startNewEpoch` the result has the new epoch.
   */
  idempotencyKey?: string;
  /** A key whose lease must be expired. The append is stale if the lease is held, or if there is none. */
  requiredExpiredLease?: string;
}

/** The entries of an append, and the epoch that they belong to. */
export interface AppendReceipt {
  epoch: string;
  entries: { seq: number; id: string; at: number }[];
}

/**
 * `appended`: as durable as the engine promises, and visible to every later read. `repeated`: an append with the same idempotency
 * key exists; these are its entries. `stale`: nothing was written; read and decide again.
 */
export type AppendResult = ({ outcome: 'appended' | 'repeated' } & AppendReceipt) | { outcome: 'stale' };

/** Entries in ascending order of seq. */
export interface Page {
  /** Null if the room does not exist. */
  epoch: string | null;
  /** The newest entry of the room, from the same snapshot; 0 if there is none. */
  head: number;
  /** The `id` of the newest broadcast entry, from the same snapshot. */
  lastBroadcastId: string | null;
  /** The HLC value of the newest entry, from the same snapshot, trimmed or not; 0 if the room does not exist. */
  hlc: number;
  /** The oldest entry of the log; head + 1 if all entries were trimmed; 0 if the room does not exist. */
  oldest: number;
  /** Size of all bodies in the log, in UTF-8 bytes as JSON, from the same snapshot. */
  bytes: number;
  /** The store's clock, which also sets `at`: milliseconds since 1970. */
  now: number;
  entries: Entry[];
  /** Whether there are more entries in the direction of the query. */
  hasMore: boolean;
}

export interface RoomHead {
  room: string;
  epoch: string;
  head: number;
  /** The time of its newest entry. */
  at: number;
}

/** A room of a list, with the requested keys and counts of `read`, as one snapshot. */
export type RoomSummary = RoomHead & Pick<RoomFacts, 'keys' | 'counts'>;

/** Entries that were appended to a room; `ended` if the room ended with them. */
export interface AppendNotice {
  epoch: string;
  entries: Entry[];
  ended: boolean;
}

/** Callbacks for the events of a room. They must not throw. */
export interface Listener {
  onAppend(notice: AppendNotice): void;
  /** A message of `publish`. It may arrive late, twice, or not at all. */
  onPublish(message: Json): void;
  /** Notifications may have been lost, for example because a connection was lost: only the log is complete. */
  onGap(): void;
}

/** The size of a store. */
export interface Usage {
  rooms: number;
  /** Space that the store uses on its medium, with all overhead. If other programs share the medium, their space is included. */
  bytes: number;
}

/** An index record, found by its holder over all rooms. */
export interface Ticket {
  room: string;
  key: string;
  value: Json;
  /** The entry that set it, and the epoch of that entry's log. */
  seq: number;
  epoch: string;
}

/**
 * A part of a room on its way to another store. It can be converted to JSON. A lease is exported without its node, and is expired
 * in the target.
 */
export interface RoomChunk {
  room: string;
  /** The head of the whole room. All chunks have the same one, unless the room changes during the export. */
  head: { epoch: string; head: number; lastBroadcastId: string | null; at: number; hlc: number; oldest: number };
  entries: Entry[];
  keys: [key: string, state: KeyState][];
  tickets: (Omit<Ticket, 'room'> & { holder: string; until: number | null })[];
  /** Idempotency keys: the key, the seq of the first entry, and the number of entries. */
  idempotencyKeys: [idempotencyKey: string, first: number, count: number][];
  /** The argument for the next chunk; null with the last one. */
  next: string | null;
}

/** The engine cannot write or read at present. Nothing of the operation was written, unless the reason is `outcome_unknown`. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  /**
   * - `full`: no space. Reads work; writes work as soon as there is space.
   * - `busy`: too many operations are queued.
   * - `failed`: the medium failed or is damaged. Reads may work; writes need an operator.
   * - `outcome_unknown`: the outcome is unknown. A retry with the same idempotency key writes at most once.
   * - `closed`: the store was closed.
   */
  readonly reason: 'full' | 'busy' | 'failed' | 'outcome_unknown' | 'closed';

  constructor(reason: StoreError['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

export type Durability = 'memory' | 'fast' | 'replicated' | 'fsync';

/**
 * The next epoch of a log that was forked. The part before the dot is the same in all of them, so that readers can recognize the
 * room.
 */
export const nextEpoch = (epoch: string): string => `${epoch.split('.', 1)[0]}.${randomUUID().slice(0, 13)}`;

/** A query for a page of the log. */
export interface PageQuery {
  before?: number;
  after?: number;
  listed?: boolean;
  /** Largest number of entries. */
  limit: number;
  /** Largest total size of the bodies, in UTF-8 bytes as JSON. `MAX_PAGE_BYTES` by default and at most. */
  bytes?: number;
}

/** Largest total size of the bodies of any page, in UTF-8 bytes. */
export const MAX_PAGE_BYTES = 1024 * 1024;

/** Largest total size of the bodies of this page, in UTF-8 bytes. */
export const pageByteLimit = ({ bytes = MAX_PAGE_BYTES }: PageQuery): number => Math.min(bytes, MAX_PAGE_BYTES);

/** Largest number of entries, keys, tickets and idempotency keys of one chunk, together. */
export const MAX_CHUNK_ITEMS = 1_000;
/** Largest size of those as JSON, in UTF-8 bytes. A chunk has at least one item, whatever its size. */
export const MAX_CHUNK_BYTES = 1024 * 1024;

/** The operations of a storage engine. They reject only with a `StoreError`. */
export interface Store {
  /** Reads facts of a room as one snapshot. The cost depends on the query, not on the length and size of the room. */
  read(room: string, query: ReadQuery): Promise<RoomFacts>;

  /**
   * Appends all drafts or none; there is at least one draft. Appends to a room are applied in the order in which the engine
   * received them, and it receives those of one node in the order of the calls.
   */
  append(room: string, request: AppendRequest): Promise<AppendResult>;

  /** The result of the append with this idempotency key, or null: for callers that may no longer append. */
  findByIdempotencyKey(room: string, idempotencyKey: string): Promise<AppendReceipt | null>;

  /**
   * A page of the log: the `limit` entries nearest to `before` (below it) or to `after` (above it), or the newest without either;
   * with `listed` only listed entries. It ends early, with `more`, before an entry whose body would exceed `bytes`; the nearest
   * entry is returned whatever its size. The cost depends on the page, not on the length of the room.
   */
  readPage(room: string, query: PageQuery): Promise<Page>;

  /**
   * The keys of a family (`member` has `member/aya`, not `member/a/b`) in the order of the UTF-8 bytes of their names, after the
   * given one; at most `limit`. Names are returned without the family. The cost depends on the page.
   */
  listKeys(
    room: string,
    family: string,
    query: { after?: string; limit: number },
  ): Promise<{ keys: [name: string, key: KeyState][]; hasMore: boolean }>;

  /**
   * Rooms in the order of the UTF-8 bytes of their names, after the given one, each with the requested facts. The cost depends on
   * the page, without an extra query for each room.
   */
  listRooms(
    query: { after?: string; limit: number } & Pick<ReadQuery, 'keys' | 'counts'>,
  ): Promise<{ rooms: RoomSummary[]; hasMore: boolean }>;

  /**
   * A secret of this store: at least 32 random bytes as text, the same for all nodes and after every restart. It is made when it is
   * first needed. It signs what clients show again, so it never leaves the server, and no export contains it.
   */
  secret(): Promise<string>;

  /** The size of the store, possibly a few seconds old. The cost does not depend on the size. */
  usage(): Promise<Usage>;

  /**
   * Once this resolves, `listener` is notified of all appends to the room by any node. Appends of this node are notified before
   * their `append` resolves, and in the order of their seqs. Appends of other nodes may be notified late, twice, out of order or
   * not at all: readers that must not miss entries compare `prev` and read pages. Entries that are not broadcast are notified
   * too.
   */
  subscribe(room: string, listener: Listener): Promise<() => void>;

  /**
   * Notifies the listeners of the room on every node of a message that is not stored. Resolves when those of this node were
   * notified.
   */
  publish(room: string, message: Json): Promise<void>;

  /**
   * Advances a key's mark to a seq. It never decreases, and is removed with its key. Returns the resulting mark, or null without
   * such a key. A mark is not an entry: no listener is notified.
   */
  advanceMark(room: string, key: string, seq: number): Promise<number | null>;

  /**
   * Gives the log of a room a new epoch (`nextEpoch` of the given one), because it was found to be forked; does nothing if the
   * room has another epoch already. Returns the present epoch, or null without a room. Tickets keep the epoch with which they
   * were set. No listener is notified; readers of the log detect it.
   */
  startNewEpoch(room: string, epoch: string): Promise<string | null>;

  /**
   * Removes the entries below a seq, and the keys below each of them (`entry/7/a`). They cannot be read any more, and once the
   * engine is idle nothing of them remains on disk, except the id that the next entry has as `prev`. All other keys stay, and so
   * do `head` and `lastBroadcastId`. No listener is notified. Does nothing if the room has another epoch. Large trims may run in
   * portions, oldest entries first, interleaved with other operations; after an error, some entries may be removed.
   */
  trim(room: string, to: { epoch: string; below: number }): Promise<void>;

  /**
   * The holder's tickets that have not expired, in the order of the UTF-8 bytes of their rooms and keys; at most `limit`. A
   * ticket is removed with its room.
   */
  listTickets(holder: string, limit: number): Promise<Ticket[]>;

  /**
   * Leases. A node holds the lease of a key for a member who is connected to it. The lease expires when the node releases it, or
   * is gone itself (no `heartbeat`). The store only reports expired leases; the domain decides what follows, by an append with
   * `requiredExpiredLease`. A lease is removed with its key.
   */

  /** Records that the node is alive for another `ttl` milliseconds by the store's clock; after that, its leases are expired. */
  heartbeat(node: string, ttl: number): Promise<void>;

  /** Gives the lease to `node`, until the node releases it or is gone. False if the key has another `seq`, or no lease. */
  acquireLease(room: string, key: { name: string; seq: number }, node: string): Promise<boolean>;

  /** Lets the lease expire in `ttl` milliseconds, unless it is acquired again. Does nothing if another node has the lease. */
  releaseLease(room: string, key: string, node: string, ttl: number): Promise<void>;

  /**
   * Takes an expired lease from its node, and does not list it again for `ttl` milliseconds. Until it is acquired again, appends
   * with `requiredExpiredLease` pass. Returns false and does nothing if the lease has not expired.
   */
  expireLease(room: string, key: string, ttl: number): Promise<boolean>;

  /** Expired leases, at most `limit`. Listing them changes nothing. */
  listExpiredLeases(limit: number): Promise<{ room: string; key: string }[]>;

  /**
   * A part of the room, of at most `MAX_CHUNK_ITEMS` and `MAX_CHUNK_BYTES`; null if the room does not exist. `next` of one chunk
   * requests the following one; null the first. Entries come first, in the order of their seqs, then the rest in any order; each
   * item once, unless the room changes meanwhile. Expired tickets may be left out.
   */
  exportChunk(room: string, next: string | null): Promise<RoomChunk | null>;

  /**
   * Imports an exported chunk unchanged: epoch, seqs and HLC values too; later HLC values are larger. Chunks are imported in
   * order, into a store that does not have the room or only chunks of the same export; importing a chunk twice is harmless.
   * Idempotency keys are stored for at least another 24 hours. No listener is notified, and no client may write to the room until all
   * chunks are imported.
   */
  importChunk(chunk: RoomChunk): Promise<void>;

  /**
   * What an `appended` write survives. `memory`: nothing. `fast`: the end of this process. `replicated`: the loss of one machine,
   * because another one has a copy. `fsync`: a power failure, because it is on disk.
   */
  readonly durability: Durability;

  /**
   * By how many microseconds the HLC value of an entry may be less than that of another room's entry that was published before; 0
   * with a single clock.
   */
  readonly maxClockSkewUs: number;

  /** By how many milliseconds the last notification of another node was later than the fastest one; 0 for a single process. */
  readonly notifyLagMs: number;

  /** Whether writes work, as far as is known without writing. */
  readonly isWritable: boolean;

  /** Completes pending operations, then releases all resources. Later operations reject as `closed`. */
  close(): Promise<void>;
}
