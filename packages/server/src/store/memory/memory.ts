import { randomUUID } from 'node:crypto';
import { type Item, Packing, type Section } from '../parcels.ts';
import {
  type Append,
  type Appended,
  type Ask,
  type Draft,
  type DraftTicket,
  type Entry,
  type Facts,
  forkOf,
  type Json,
  type Kept,
  type Key,
  type ListedRoom,
  type Listener,
  type Page,
  type PageAsk,
  type Parcel,
  pageBytes,
  type Store,
  StoreError,
  type Ticket,
  type Usage,
} from '../store.ts';
import { Subscriptions } from '../subscriptions.ts';

interface Lease {
  node: string;
  /** Null while it is held. */
  until: number | null;
}

interface Room {
  epoch: string;
  /** Those above the trimmed ones; while a room is being unpacked not yet all of them up to its head. */
  entries: Entry[];
  head: number;
  tail: string | null;
  at: number;
  tick: number;
  keys: Map<string, Key>;
  once: Map<string, Kept['entries']>;
  leases: Map<string, Lease>;
  /** By the key that each is for, then by its holder. */
  tickets: Map<string, Map<string, HeldTicket>>;
  /** How many entries were trimmed. */
  trimmed: number;
  /** Of the bodies of all entries. */
  bytes: number;
}

interface HeldTicket {
  value: Json;
  epoch: string;
  seq: number;
  until: number;
}

/** Has the leases that were unpacked, and those that were set aside. It never beats. */
const NO_NODE = '';

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const familyOf = (key: string): string => key.slice(0, Math.max(key.lastIndexOf('/'), 0));
const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
const bytesOf = ({ body }: Entry): number => (body === null ? 0 : Buffer.byteLength(JSON.stringify(body)));

/**
 * The memory engine, for tests and simulations: the contract in its plainest form, nothing kept. Several servers in
 * one process may share one. Unlike the others, its lists cost what the room holds.
 */
export function openMemory({ clock = () => Date.now() }: { clock?: () => number } = {}): MemoryStore {
  return new Memory(clock);
}

export interface MemoryStore extends Store {
  /** Another store with everything that this one has now, and nobody who listens. */
  copy(): MemoryStore;
}

class Memory implements MemoryStore {
  readonly durability = 'memory';
  readonly tickSkew = 0;
  readonly lag = 0;
  readonly #clock: () => number;
  #rooms = new Map<string, Room>();
  #nodes = new Map<string, number>();
  readonly #subscriptions = new Subscriptions();
  #tick = 0;
  #closed = false;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get writable(): boolean {
    return !this.#closed;
  }

  copy(): MemoryStore {
    const copy = new Memory(this.#clock);
    copy.#rooms = structuredClone(this.#rooms);
    copy.#nodes = structuredClone(this.#nodes);
    copy.#tick = this.#tick;
    return copy;
  }

  async append(name: string, append: Append): Promise<Appended> {
    this.#mustBeOpen();
    const known = this.#rooms.get(name);
    const repeated = append.once === undefined ? undefined : known?.once.get(append.once);
    if (known && repeated) return { outcome: 'repeated', epoch: known.epoch, entries: repeated };
    if ((known?.epoch ?? null) !== append.epoch) return { outcome: 'stale' };
    if (append.head !== undefined && known?.head !== append.head) return { outcome: 'stale' };
    if (append.bytesBelow !== undefined && (known?.bytes ?? 0) >= append.bytesBelow) return { outcome: 'stale' };
    if (append.given.some(([key, seq]) => (known?.keys.get(key)?.seq ?? 0) !== seq)) return { outcome: 'stale' };
    if (append.entries?.some(([seq, id]) => entryAt(known, seq)?.id !== id)) return { outcome: 'stale' };
    if (append.lapsed !== undefined && !(known && this.#hasLapsed(known, append.lapsed))) return { outcome: 'stale' };

    const room = known ?? this.#openRoom(name, randomUUID());
    const entries = append.drafts.map((draft) => this.#write(room, draft));
    const kept = { epoch: room.epoch, entries: entries.map(({ seq, id, at }) => ({ seq, id, at })) };
    if (append.once !== undefined) room.once.set(append.once, kept.entries);
    const ended = append.drafts.some((draft) => draft.ends);
    if (ended) this.#rooms.delete(name);
    this.#subscriptions.tell(name, { epoch: room.epoch, entries: structuredClone(entries), ended });
    return { outcome: 'appended', ...kept };
  }

  async read(name: string, { keys = [], seqs = [], counts = [] }: Ask): Promise<Facts> {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    const facts: Facts = {
      epoch: room?.epoch ?? null,
      head: room?.head ?? 0,
      bytes: room?.bytes ?? 0,
      keys: keysIn(room, keys),
      entries: new Map(),
      counts: countsIn(room, counts),
    };
    for (const seq of seqs) {
      const entry = entryAt(room, seq);
      if (entry) facts.entries.set(seq, structuredClone(entry));
    }
    return facts;
  }

  async recall(name: string, once: string): Promise<Kept | null> {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    const entries = room?.once.get(once);
    return room && entries ? { epoch: room.epoch, entries } : null;
  }

  async page(name: string, ask: PageAsk): Promise<Page> {
    const { before = Infinity, after, listed = false, limit } = ask;
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    const all = (room?.entries ?? []).filter((entry) => !listed || entry.listed);
    const asked = after === undefined ? all.filter(({ seq }) => seq < before).reverse() : all.filter(({ seq }) => seq > after);
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of asked.slice(0, limit)) {
      bytes += bytesOf(entry);
      if (bytes > pageBytes(ask) && entries.length > 0) break;
      entries.push(structuredClone(entry));
    }
    const more = asked.length > entries.length;
    return {
      epoch: room?.epoch ?? null,
      head: room?.head ?? 0,
      tail: room?.tail ?? null,
      tick: room?.tick ?? 0,
      oldest: room ? room.trimmed + 1 : 0,
      bytes: room?.bytes ?? 0,
      now: this.#clock(),
      entries: after === undefined ? entries.reverse() : entries,
      more,
    };
  }

  async family(name: string, family: string, { after, limit }: { after?: string; limit: number }) {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    const keys = [...(room?.keys ?? [])]
      .filter(([key]) => key.includes('/') && familyOf(key) === family)
      .map(([key, value]): [string, Key] => [nameOf(key), asRead(room as Room, key, value)])
      .filter(([key]) => after === undefined || byBytes(key, after) > 0)
      .sort(([a], [b]) => byBytes(a, b));
    return { keys: keys.slice(0, limit), more: keys.length > limit };
  }

  async rooms({ after, limit, keys = [], counts = [] }: Parameters<Store['rooms']>[0]) {
    this.#mustBeOpen();
    const names = [...this.#rooms.keys()].filter((name) => after === undefined || byBytes(name, after) > 0).sort(byBytes);
    const rooms = names.slice(0, limit).map((name): ListedRoom => {
      const room = this.#rooms.get(name) as Room;
      return { room: name, epoch: room.epoch, head: room.head, at: room.at, keys: keysIn(room, keys), counts: countsIn(room, counts) };
    });
    return { rooms, more: names.length > limit };
  }

  async usage(): Promise<Usage> {
    this.#mustBeOpen();
    return { rooms: this.#rooms.size, bytes: [...this.#rooms.values()].reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  async subscribe(room: string, listener: Listener): Promise<() => void> {
    this.#mustBeOpen();
    return this.#subscriptions.add(room, listener);
  }

  async announce(room: string, signal: Json): Promise<void> {
    this.#mustBeOpen();
    this.#subscriptions.announce(room, structuredClone(signal));
  }

  async mark(name: string, key: string, seq: number): Promise<number | null> {
    this.#mustBeOpen();
    const known = this.#rooms.get(name)?.keys.get(key);
    if (!known) return null;
    known.mark = Math.max(known.mark ?? 0, seq);
    return known.mark;
  }

  async fork(name: string, epoch: string): Promise<string | null> {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    if (room?.epoch === epoch) room.epoch = forkOf(epoch);
    return room?.epoch ?? null;
  }

  async trim(name: string, { epoch, below }: { epoch: string; below: number }): Promise<void> {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    if (room?.epoch === epoch) this.#trim(room, below);
  }

  async tickets(holder: string, limit: number): Promise<Ticket[]> {
    this.#mustBeOpen();
    const held = [...this.#rooms].flatMap(([room, { tickets }]) =>
      [...tickets].flatMap(([key, holders]) => [holders.get(holder)].flatMap((ticket) => (ticket ? [{ room, key, ...ticket }] : []))),
    );
    return held
      .filter(({ until }) => until > this.#clock())
      .map(({ until: _, ...ticket }) => structuredClone(ticket))
      .sort((a, b) => byBytes(a.room, b.room) || byBytes(a.key, b.key))
      .slice(0, limit);
  }

  async beat(node: string, ttl: number): Promise<void> {
    this.#mustBeOpen();
    this.#nodes.set(node, this.#clock() + ttl);
  }

  async hold(name: string, key: { name: string; seq: number }, node: string): Promise<boolean> {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    if (!room?.leases.has(key.name) || room.keys.get(key.name)?.seq !== key.seq) return false;
    room.leases.set(key.name, { node, until: null });
    return true;
  }

  async release(name: string, key: string, node: string, ttl: number): Promise<void> {
    this.#mustBeOpen();
    const lease = this.#rooms.get(name)?.leases.get(key);
    if (lease?.node === node) lease.until ??= this.#clock() + ttl;
  }

  async setAside(name: string, key: string, ttl: number): Promise<boolean> {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    if (!room || !this.#hasRunOut(room.leases.get(key))) return false;
    room.leases.set(key, { node: NO_NODE, until: this.#clock() + ttl });
    return true;
  }

  async lapsed(limit: number): Promise<{ room: string; key: string }[]> {
    this.#mustBeOpen();
    return [...this.#rooms]
      .flatMap(([room, { leases }]) => [...leases].flatMap(([key, lease]) => (this.#hasRunOut(lease) ? [{ room, key }] : [])))
      .slice(0, limit);
  }

  /** `next` is the place of an item among all that the room has. */
  async pack(name: string, next: string | null): Promise<Parcel | null> {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    if (!room) return null;
    const { epoch, head, tail, at, tick, trimmed } = room;
    const packing = new Packing(name, { epoch, head, tail, at, tick, oldest: trimmed + 1 });
    const items = itemsOf(room);
    for (let index = Number(next); index < items.length; index += 1) {
      const [section, item] = items[index] as [Section, Item];
      if (!packing.takes(section, structuredClone(item))) return packing.close(String(index));
    }
    return packing.close(null);
  }

  async unpack(parcel: Parcel): Promise<void> {
    this.#mustBeOpen();
    const { room: name, head, entries, keys, tickets, onces } = structuredClone(parcel);
    const room = this.#rooms.get(name) ?? this.#openRoom(name, head.epoch);
    this.#trim(room, head.oldest);
    Object.assign(room, { head: head.head, tail: head.tail, at: head.at, tick: head.tick, trimmed: head.oldest - 1 });
    for (const entry of entries) {
      const before = room.entries[entry.seq - head.oldest];
      room.entries[entry.seq - head.oldest] = entry;
      room.bytes += bytesOf(entry) - (before ? bytesOf(before) : 0);
    }
    for (const [key, of] of keys) putKey(room, key, of);
    for (const { holder, key, until, ...ticket } of tickets)
      holdersOf(room.tickets, key).set(holder, { ...ticket, until: until ?? Infinity });
    for (const [once, first, count] of onces) {
      const named = room.entries.slice(first - head.oldest).slice(0, count);
      room.once.set(
        once,
        named.map(({ seq, id, at }) => ({ seq, id, at })),
      );
    }
    this.#tick = Math.max(this.#tick, head.tick);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #write(room: Room, { id, by, author, kind, body, quiet = false, listed = false, ...effects }: Draft): Entry {
    const { sets = [], erases = [], lease, tickets = [] } = structuredClone(effects);
    room.at = Math.max(this.#clock(), room.at);
    this.#tick += 1;
    room.tick = this.#tick;
    const entry: Entry = {
      seq: room.head + 1,
      id,
      prev: room.tail,
      at: room.at,
      tick: this.#tick,
      by,
      author,
      kind,
      body: structuredClone(body),
      quiet,
      listed,
    };
    room.entries.push(entry);
    room.head = entry.seq;
    room.bytes += bytesOf(entry);
    if (!quiet) room.tail = id;
    for (const [key, value] of sets) setKey(room, key, value, entry.seq);
    if (lease) room.leases.set(lease.key, { node: lease.node, until: null });
    for (const ticket of tickets) this.#leaveTicket(room, ticket, entry.seq);
    for (const seq of erases) {
      const erased = entryAt(room, seq);
      if (!erased) continue;
      room.bytes -= bytesOf(erased);
      erased.body = null;
    }
    return entry;
  }

  #trim(room: Room, below: number): void {
    const trimmed = room.entries.splice(0, Math.max(below - 1 - room.trimmed, 0));
    room.trimmed += trimmed.length;
    for (const entry of trimmed) {
      room.bytes -= bytesOf(entry);
      for (const key of room.keys.keys()) if (key.startsWith(`entry/${entry.seq}/`)) setKey(room, key, null, 0);
    }
    for (const [once, entries] of room.once) if (entries.some(({ seq }) => seq < below)) room.once.delete(once);
  }

  #leaveTicket({ tickets, epoch }: Room, { holder, key, value, ttl = Infinity }: DraftTicket, seq: number): void {
    if (value === null) tickets.get(key)?.delete(holder);
    else holdersOf(tickets, key).set(holder, { value, epoch, seq, until: this.#clock() + ttl });
  }

  #openRoom(name: string, epoch: string): Room {
    const room: Room = {
      epoch,
      entries: [],
      head: 0,
      tail: null,
      at: 0,
      tick: 0,
      keys: new Map(),
      once: new Map(),
      leases: new Map(),
      tickets: new Map(),
      trimmed: 0,
      bytes: 0,
    };
    this.#rooms.set(name, room);
    return room;
  }

  #hasLapsed(room: Room, key: string): boolean {
    const lease = room.leases.get(key);
    return lease !== undefined && (isSetAside(lease) || this.#hasRunOut(lease));
  }

  #hasRunOut(lease: Lease | undefined): boolean {
    return lease !== undefined && (lease.until ?? this.#nodes.get(lease.node) ?? 0) <= this.#clock();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new StoreError('closed', 'The store is closed.');
  }
}

const entryAt = (room: Room | undefined, seq: number): Entry | undefined => room?.entries[seq - 1 - room.trimmed];

/** What was unpacked has run out at the time 0, or was set aside before. */
const isSetAside = ({ node, until }: Lease): boolean => node === NO_NODE && until !== null && until > 0;

function stateOf(lease: Lease): NonNullable<Key['lease']> {
  if (lease.until === null) return 'held';
  return isSetAside(lease) ? 'lapsed' : 'released';
}

/** When a lease that was unpacked in this state has run out. */
const UNPACKED = { held: null, released: 0, lapsed: 1 };

function asRead({ leases }: Room, name: string, key: Key): Key {
  const lease = leases.get(name);
  return { ...structuredClone(key), ...(lease && { lease: stateOf(lease) }) };
}

function keysIn(room: Room | undefined, asked: string[]): Facts['keys'] {
  const keys: Facts['keys'] = new Map();
  for (const key of asked) {
    const known = room?.keys.get(key);
    if (room && known) keys.set(key, asRead(room, key, known));
  }
  return keys;
}

const countsIn = (room: Room | undefined, parents: string[]): Facts['counts'] =>
  new Map(parents.map((parent) => [parent, countsBeneath(room, parent)]));

/** All that the room has, as it is packed. */
const itemsOf = (room: Room): [Section, Item][] => [
  ...room.entries.map((entry): [Section, Item] => ['entries', entry]),
  ...[...room.keys].map(([key, of]): [Section, Item] => ['keys', [key, asRead(room, key, of)]]),
  ...[...room.tickets].flatMap(([key, holders]) =>
    [...holders].map(([holder, { until, ...ticket }]): [Section, Item] => [
      'tickets',
      { holder, key, ...ticket, until: until === Infinity ? null : until },
    ]),
  ),
  ...[...room.once].map(([once, entries]): [Section, Item] => ['onces', [once, entries[0]?.seq ?? 0, entries.length]]),
];

function countsBeneath(room: Room | undefined, parent: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of room?.keys.keys() ?? []) {
    const family = familyOf(key);
    const isBeneath = parent === '' ? !family.includes('/') : familyOf(family) === parent;
    if (key.includes('/') && isBeneath) counts.set(nameOf(family), (counts.get(nameOf(family)) ?? 0) + 1);
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

function putKey(room: Room, key: string, { lease, ...known }: Key): void {
  room.keys.set(key, known);
  if (lease) room.leases.set(key, { node: NO_NODE, until: UNPACKED[lease] });
  else room.leases.delete(key);
}

function holdersOf(tickets: Room['tickets'], key: string): Map<string, HeldTicket> {
  const holders = tickets.get(key) ?? new Map<string, HeldTicket>();
  tickets.set(key, holders);
  return holders;
}
