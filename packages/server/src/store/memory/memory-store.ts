/** In-memory store for tests and simulations; nothing is persisted. */
import { randomBytes, randomUUID } from 'node:crypto';
import {
  type AppendReceipt,
  type AppendRequest,
  type AppendResult,
  type Draft,
  type DraftTicket,
  type Entry,
  type Json,
  type KeyState,
  type Listener,
  nextEpoch,
  type Page,
  type PageQuery,
  pageByteLimit,
  type ReadQuery,
  type RoomChunk,
  type RoomFacts,
  type RoomSummary,
  type Store,
  StoreError,
  type Ticket,
  type Usage,
} from '../contract.ts';
import { ChunkBuilder, type ChunkItem, type ChunkSection } from '../export-chunk.ts';
import { Subscriptions } from '../subscriptions.ts';

interface Lease {
  node: string;
  /** Null while the lease is held. */
  until: number | null;
}

interface Room {
  epoch: string;
  /** The entries that are not trimmed. During an import, not yet all entries up to the head. */
  entries: Entry[];
  head: number;
  lastBroadcastId: string | null;
  at: number;
  hlc: number;
  keys: Map<string, KeyState>;
  receiptsByKey: Map<string, AppendReceipt['entries']>;
  leases: Map<string, Lease>;
  /** By the key of the ticket, then by its holder. */
  tickets: Map<string, Map<string, StoredTicket>>;
  /** How many entries were trimmed. */
  trimmed: number;
  /** Size of the bodies of all entries. */
  bytes: number;
}

interface StoredTicket {
  value: Json;
  epoch: string;
  seq: number;
  until: number;
}

/** The node of imported leases, and of leases that were taken from their node. It has no heartbeat. */
const NO_NODE = '';

const compareUtf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const familyOf = (key: string): string => key.slice(0, Math.max(key.lastIndexOf('/'), 0));
const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
const bodyBytes = ({ body }: Entry): number => (body === null ? 0 : Buffer.byteLength(JSON.stringify(body)));

/**
 * The in-memory engine: the contract in its simplest form. Several servers in one process may share one store. Unlike in other
 * engines, lists cost as much as the whole room.
 */
export function openMemory({ clock = () => Date.now() }: { clock?: () => number } = {}): MemoryStore {
  return new Memory(clock);
}

export interface MemoryStore extends Store {
  /** Another store with the same data and no listeners. */
  copy(): MemoryStore;
}

class Memory implements MemoryStore {
  readonly durability = 'memory';
  readonly maxClockSkewUs = 0;
  readonly notifyLagMs = 0;
  readonly #clock: () => number;
  #rooms = new Map<string, Room>();
  #nodes = new Map<string, number>();
  readonly #subscriptions = new Subscriptions();
  #secret = randomBytes(32).toString('base64url');
  #hlc = 0;
  #closed = false;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get isWritable(): boolean {
    return !this.#closed;
  }

  copy(): MemoryStore {
    const copy = new Memory(this.#clock);
    copy.#rooms = structuredClone(this.#rooms);
    copy.#nodes = structuredClone(this.#nodes);
    copy.#secret = this.#secret;
    copy.#hlc = this.#hlc;
    return copy;
  }

  async append(name: string, request: AppendRequest): Promise<AppendResult> {
    this.#assertOpen();
    const known = this.#rooms.get(name);
    const previousEntries = request.idempotencyKey === undefined ? undefined : known?.receiptsByKey.get(request.idempotencyKey);
    if (known && previousEntries) return { outcome: 'repeated', epoch: known.epoch, entries: previousEntries };
    if ((known?.epoch ?? null) !== request.epoch) return { outcome: 'stale' };
    if (request.expectedHead !== undefined && known?.head !== request.expectedHead) return { outcome: 'stale' };
    if (request.bytesBelow !== undefined && (known?.bytes ?? 0) >= request.bytesBelow) return { outcome: 'stale' };
    if (request.expectedVersions.some(([key, seq]) => (known?.keys.get(key)?.seq ?? 0) !== seq)) return { outcome: 'stale' };
    if (request.expectedEntries?.some(([seq, id]) => entryAt(known, seq)?.id !== id)) return { outcome: 'stale' };
    if (request.requiredExpiredLease !== undefined && !(known && this.#hasExpired(known, request.requiredExpiredLease)))
      return { outcome: 'stale' };

    const room = known ?? this.#openRoom(name, randomUUID());
    const entries = request.drafts.map((draft) => this.#write(room, draft));
    const receipt = { epoch: room.epoch, entries: entries.map(({ seq, id, at }) => ({ seq, id, at })) };
    if (request.idempotencyKey !== undefined) room.receiptsByKey.set(request.idempotencyKey, receipt.entries);
    const ended = request.drafts.some((draft) => draft.endsRoom);
    if (ended) this.#rooms.delete(name);
    this.#subscriptions.notifyAppend(name, { epoch: room.epoch, entries: structuredClone(entries), ended });
    return { outcome: 'appended', ...receipt };
  }

  async read(name: string, { keys = [], seqs = [], counts = [] }: ReadQuery): Promise<RoomFacts> {
    this.#assertOpen();
    const room = this.#rooms.get(name);
    const facts: RoomFacts = {
      epoch: room?.epoch ?? null,
      head: room?.head ?? 0,
      bytes: room?.bytes ?? 0,
      keys: readKeys(room, keys),
      entries: new Map(),
      counts: readCounts(room, counts),
    };
    for (const seq of seqs) {
      const entry = entryAt(room, seq);
      if (entry) facts.entries.set(seq, structuredClone(entry));
    }
    return facts;
  }

  async findByIdempotencyKey(name: string, idempotencyKey: string): Promise<AppendReceipt | null> {
    this.#assertOpen();
    const room = this.#rooms.get(name);
    const entries = room?.receiptsByKey.get(idempotencyKey);
    return room && entries ? { epoch: room.epoch, entries } : null;
  }

  async readPage(name: string, query: PageQuery): Promise<Page> {
    const { before = Infinity, after, listed = false, limit } = query;
    this.#assertOpen();
    const room = this.#rooms.get(name);
    const all = (room?.entries ?? []).filter((entry) => !listed || entry.listed);
    const candidates = after === undefined ? all.filter(({ seq }) => seq < before).reverse() : all.filter(({ seq }) => seq > after);
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of candidates.slice(0, limit)) {
      bytes += bodyBytes(entry);
      if (bytes > pageByteLimit(query) && entries.length > 0) break;
      entries.push(structuredClone(entry));
    }
    const hasMore = candidates.length > entries.length;
    return {
      epoch: room?.epoch ?? null,
      head: room?.head ?? 0,
      lastBroadcastId: room?.lastBroadcastId ?? null,
      hlc: room?.hlc ?? 0,
      oldest: room ? room.trimmed + 1 : 0,
      bytes: room?.bytes ?? 0,
      now: this.#clock(),
      entries: after === undefined ? entries.reverse() : entries,
      hasMore,
    };
  }

  async listKeys(name: string, family: string, { after, limit }: { after?: string; limit: number }) {
    this.#assertOpen();
    const room = this.#rooms.get(name);
    const keys = [...(room?.keys ?? [])]
      .filter(([key]) => key.includes('/') && familyOf(key) === family)
      .map(([key, value]): [string, KeyState] => [nameOf(key), toKeyState(room as Room, key, value)])
      .filter(([key]) => after === undefined || compareUtf8(key, after) > 0)
      .sort(([a], [b]) => compareUtf8(a, b));
    return { keys: keys.slice(0, limit), hasMore: keys.length > limit };
  }

  async listRooms({ after, limit, keys = [], counts = [] }: Parameters<Store['listRooms']>[0]) {
    this.#assertOpen();
    const names = [...this.#rooms.keys()].filter((name) => after === undefined || compareUtf8(name, after) > 0).sort(compareUtf8);
    const rooms = names.slice(0, limit).map((name): RoomSummary => {
      const room = this.#rooms.get(name) as Room;
      return { room: name, epoch: room.epoch, head: room.head, at: room.at, keys: readKeys(room, keys), counts: readCounts(room, counts) };
    });
    return { rooms, hasMore: names.length > limit };
  }

  async secret(): Promise<string> {
    this.#assertOpen();
    return this.#secret;
  }

  async usage(): Promise<Usage> {
    this.#assertOpen();
    return { rooms: this.#rooms.size, bytes: [...this.#rooms.values()].reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  async subscribe(room: string, listener: Listener): Promise<() => void> {
    this.#assertOpen();
    return this.#subscriptions.add(room, listener);
  }

  async publish(room: string, message: Json): Promise<void> {
    this.#assertOpen();
    this.#subscriptions.notifyPublish(room, structuredClone(message));
  }

  async advanceMark(name: string, key: string, seq: number): Promise<number | null> {
    this.#assertOpen();
    const known = this.#rooms.get(name)?.keys.get(key);
    if (!known) return null;
    known.mark = Math.max(known.mark ?? 0, seq);
    return known.mark;
  }

  async startNewEpoch(name: string, epoch: string): Promise<string | null> {
    this.#assertOpen();
    const room = this.#rooms.get(name);
    if (room?.epoch === epoch) room.epoch = nextEpoch(epoch);
    return room?.epoch ?? null;
  }

  async trim(name: string, { epoch, below }: { epoch: string; below: number }): Promise<void> {
    this.#assertOpen();
    const room = this.#rooms.get(name);
    if (room?.epoch === epoch) this.#trim(room, below);
  }

  async listTickets(holder: string, limit: number): Promise<Ticket[]> {
    this.#assertOpen();
    const found = [...this.#rooms].flatMap(([room, { tickets }]) =>
      [...tickets].flatMap(([key, holders]) => [holders.get(holder)].flatMap((ticket) => (ticket ? [{ room, key, ...ticket }] : []))),
    );
    return found
      .filter(({ until }) => until > this.#clock())
      .map(({ until: _, ...ticket }) => structuredClone(ticket))
      .sort((a, b) => compareUtf8(a.room, b.room) || compareUtf8(a.key, b.key))
      .slice(0, limit);
  }

  async heartbeat(node: string, ttl: number): Promise<void> {
    this.#assertOpen();
    this.#nodes.set(node, this.#clock() + ttl);
  }

  async acquireLease(name: string, key: { name: string; seq: number }, node: string): Promise<boolean> {
    this.#assertOpen();
    const room = this.#rooms.get(name);
    if (!room?.leases.has(key.name) || room.keys.get(key.name)?.seq !== key.seq) return false;
    room.leases.set(key.name, { node, until: null });
    return true;
  }

  async releaseLease(name: string, key: string, node: string, ttl: number): Promise<void> {
    this.#assertOpen();
    const lease = this.#rooms.get(name)?.leases.get(key);
    if (lease?.node === node) lease.until ??= this.#clock() + ttl;
  }

  async expireLease(name: string, key: string, ttl: number): Promise<boolean> {
    this.#assertOpen();
    const room = this.#rooms.get(name);
    if (!room || !this.#hasRunOut(room.leases.get(key))) return false;
    room.leases.set(key, { node: NO_NODE, until: this.#clock() + ttl });
    return true;
  }

  async listExpiredLeases(limit: number): Promise<{ room: string; key: string }[]> {
    this.#assertOpen();
    return [...this.#rooms]
      .flatMap(([room, { leases }]) => [...leases].flatMap(([key, lease]) => (this.#hasRunOut(lease) ? [{ room, key }] : [])))
      .slice(0, limit);
  }

  /** `next` is the index of an item among all items of the room. */
  async exportChunk(name: string, next: string | null): Promise<RoomChunk | null> {
    this.#assertOpen();
    const room = this.#rooms.get(name);
    if (!room) return null;
    const { epoch, head, lastBroadcastId, at, hlc, trimmed } = room;
    const builder = new ChunkBuilder(name, { epoch, head, lastBroadcastId, at, hlc, oldest: trimmed + 1 });
    const items = chunkItemsOf(room);
    for (let index = Number(next); index < items.length; index += 1) {
      const [section, item] = items[index] as [ChunkSection, ChunkItem];
      if (!builder.tryAdd(section, structuredClone(item))) return builder.build(String(index));
    }
    return builder.build(null);
  }

  async importChunk(chunk: RoomChunk): Promise<void> {
    this.#assertOpen();
    const { room: name, head, entries, keys, tickets, idempotencyKeys } = structuredClone(chunk);
    const room = this.#rooms.get(name) ?? this.#openRoom(name, head.epoch);
    this.#trim(room, head.oldest);
    Object.assign(room, { head: head.head, lastBroadcastId: head.lastBroadcastId, at: head.at, hlc: head.hlc, trimmed: head.oldest - 1 });
    for (const entry of entries) {
      const previous = room.entries[entry.seq - head.oldest];
      room.entries[entry.seq - head.oldest] = entry;
      room.bytes += bodyBytes(entry) - (previous ? bodyBytes(previous) : 0);
    }
    for (const [key, state] of keys) importKey(room, key, state);
    for (const { holder, key, until, ...ticket } of tickets)
      holdersOf(room.tickets, key).set(holder, { ...ticket, until: until ?? Infinity });
    for (const [idempotencyKey, first, count] of idempotencyKeys) {
      const appended = room.entries.slice(first - head.oldest).slice(0, count);
      room.receiptsByKey.set(
        idempotencyKey,
        appended.map(({ seq, id, at }) => ({ seq, id, at })),
      );
    }
    this.#hlc = Math.max(this.#hlc, head.hlc);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #write(room: Room, { id, by, author, kind, body, quiet = false, listed = false, ...effects }: Draft): Entry {
    const { keyUpdates = [], eraseSeqs = [], lease, tickets = [] } = structuredClone(effects);
    room.at = Math.max(this.#clock(), room.at);
    this.#hlc += 1;
    room.hlc = this.#hlc;
    const entry: Entry = {
      seq: room.head + 1,
      id,
      prev: room.lastBroadcastId,
      at: room.at,
      hlc: this.#hlc,
      by,
      author,
      kind,
      body: structuredClone(body),
      quiet,
      listed,
    };
    room.entries.push(entry);
    room.head = entry.seq;
    room.bytes += bodyBytes(entry);
    if (!quiet) room.lastBroadcastId = id;
    for (const [key, value] of keyUpdates) setKey(room, key, value, entry.seq);
    if (lease) room.leases.set(lease.key, { node: lease.node, until: null });
    for (const ticket of tickets) this.#putTicket(room, ticket, entry.seq);
    for (const seq of eraseSeqs) {
      const erased = entryAt(room, seq);
      if (!erased) continue;
      room.bytes -= bodyBytes(erased);
      erased.body = null;
    }
    return entry;
  }

  #trim(room: Room, below: number): void {
    const trimmed = room.entries.splice(0, Math.max(below - 1 - room.trimmed, 0));
    room.trimmed += trimmed.length;
    for (const entry of trimmed) {
      room.bytes -= bodyBytes(entry);
      for (const key of room.keys.keys()) if (key.startsWith(`entry/${entry.seq}/`)) setKey(room, key, null, 0);
    }
    for (const [idempotencyKey, entries] of room.receiptsByKey)
      if (entries.some(({ seq }) => seq < below)) room.receiptsByKey.delete(idempotencyKey);
  }

  #putTicket({ tickets, epoch }: Room, { holder, key, value, ttl = Infinity }: DraftTicket, seq: number): void {
    if (value === null) tickets.get(key)?.delete(holder);
    else holdersOf(tickets, key).set(holder, { value, epoch, seq, until: this.#clock() + ttl });
  }

  #openRoom(name: string, epoch: string): Room {
    const room: Room = {
      epoch,
      entries: [],
      head: 0,
      lastBroadcastId: null,
      at: 0,
      hlc: 0,
      keys: new Map(),
      receiptsByKey: new Map(),
      leases: new Map(),
      tickets: new Map(),
      trimmed: 0,
      bytes: 0,
    };
    this.#rooms.set(name, room);
    return room;
  }

  #hasExpired(room: Room, key: string): boolean {
    const lease = room.leases.get(key);
    return lease !== undefined && (isMarkedExpired(lease) || this.#hasRunOut(lease));
  }

  #hasRunOut(lease: Lease | undefined): boolean {
    return lease !== undefined && (lease.until ?? this.#nodes.get(lease.node) ?? 0) <= this.#clock();
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreError('closed', 'The store is closed.');
  }
}

const entryAt = (room: Room | undefined, seq: number): Entry | undefined => room?.entries[seq - 1 - room.trimmed];

/** An imported lease has expired at time 0, unless it was taken from its node before. */
const isMarkedExpired = ({ node, until }: Lease): boolean => node === NO_NODE && until !== null && until > 0;

function leaseState(lease: Lease): NonNullable<KeyState['lease']> {
  if (lease.until === null) return 'held';
  return isMarkedExpired(lease) ? 'expired' : 'released';
}

/** When a lease that was imported in this state has expired. */
const IMPORTED_LEASE_UNTIL = { held: null, released: 0, expired: 1 };

function toKeyState({ leases }: Room, name: string, key: KeyState): KeyState {
  const lease = leases.get(name);
  return { ...structuredClone(key), ...(lease && { lease: leaseState(lease) }) };
}

function readKeys(room: Room | undefined, names: string[]): RoomFacts['keys'] {
  const keys: RoomFacts['keys'] = new Map();
  for (const key of names) {
    const known = room?.keys.get(key);
    if (room && known) keys.set(key, toKeyState(room, key, known));
  }
  return keys;
}

const readCounts = (room: Room | undefined, parents: string[]): RoomFacts['counts'] =>
  new Map(parents.map((parent) => [parent, countKeysBelow(room, parent)]));

/** All items of the room, in the order of the export. */
const chunkItemsOf = (room: Room): [ChunkSection, ChunkItem][] => [
  ...room.entries.map((entry): [ChunkSection, ChunkItem] => ['entries', entry]),
  ...[...room.keys].map(([key, state]): [ChunkSection, ChunkItem] => ['keys', [key, toKeyState(room, key, state)]]),
  ...[...room.tickets].flatMap(([key, holders]) =>
    [...holders].map(([holder, { until, ...ticket }]): [ChunkSection, ChunkItem] => [
      'tickets',
      { holder, key, ...ticket, until: until === Infinity ? null : until },
    ]),
  ),
  ...[...room.receiptsByKey].map(([idempotencyKey, entries]): [ChunkSection, ChunkItem] => [
    'idempotencyKeys',
    [idempotencyKey, entries[0]?.seq ?? 0, entries.length],
  ]),
];

function countKeysBelow(room: Room | undefined, parent: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of room?.keys.keys() ?? []) {
    const family = familyOf(key);
    const isBelow = parent === '' ? !family.includes('/') : familyOf(family) === parent;
    if (key.includes('/') && isBelow) counts.set(nameOf(family), (counts.get(nameOf(family)) ?? 0) + 1);
  }
  return counts;
}

function setKey(room: Room, key: string, value: Json, seq: number): void {
  if (value === null) {
    room.keys.delete(key);
    room.leases.delete(key);
  } else {
    room.keys.set(key, { ...room.keys.get(key), value, seq });
  }
}

function importKey(room: Room, key: string, { lease, ...known }: KeyState): void {
  room.keys.set(key, known);
  if (lease) room.leases.set(key, { node: NO_NODE, until: IMPORTED_LEASE_UNTIL[lease] });
  else room.leases.delete(key);
}

function holdersOf(tickets: Room['tickets'], key: string): Map<string, StoredTicket> {
  const holders = tickets.get(key) ?? new Map<string, StoredTicket>();
  tickets.set(key, holders);
  return holders;
}
