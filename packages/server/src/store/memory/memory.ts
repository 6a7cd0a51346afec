import { randomUUID } from 'node:crypto';
import {
  type Append,
  type Appended,
  type Ask,
  type Draft,
  type Entry,
  type Facts,
  forkOf,
  type Json,
  type Kept,
  type Key,
  type Listener,
  PAGE_BYTES,
  type Page,
  type Store,
  StoreError,
  type Ticket,
} from '../store.ts';
import { Subscriptions } from '../subscriptions.ts';

interface Room {
  epoch: string;
  entries: Entry[];
  tail: string | null;
  at: number;
  keys: Map<string, Key>;
  once: Map<string, Kept['entries']>;
  leases: Map<string, { node: string; until: number | null }>;
  /** By the key that each is for, then by its holder. */
  tickets: Map<string, Map<string, { value: Json; epoch: string; seq: number; until: number }>>;
  /** How many entries were trimmed. */
  trimmed: number;
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const familyOf = (key: string): string => key.slice(0, Math.max(key.lastIndexOf('/'), 0));
const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

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
    if (append.given.some(([key, seq]) => (known?.keys.get(key)?.seq ?? 0) !== seq)) return { outcome: 'stale' };
    if (append.entries?.some(([seq, id]) => entryAt(known, seq)?.id !== id)) return { outcome: 'stale' };
    if (append.lapsed !== undefined && !(known && this.#hasLapsed(known, append.lapsed))) return { outcome: 'stale' };

    const room = known ?? this.#openRoom(name);
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
      head: headOf(room),
      keys: new Map(),
      entries: new Map(),
      counts: new Map(counts.map((parent) => [parent, countsBeneath(room, parent)])),
    };
    for (const key of keys) {
      const known = room?.keys.get(key);
      if (room && known) facts.keys.set(key, asRead(room, key, known));
    }
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

  async page(name: string, { before = Infinity, after, listed = false, limit }: Parameters<Store['page']>[1]): Promise<Page> {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    const all = (room?.entries ?? []).filter((entry) => !listed || entry.listed);
    const asked = after === undefined ? all.filter(({ seq }) => seq < before).reverse() : all.filter(({ seq }) => seq > after);
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of asked.slice(0, limit)) {
      bytes += entry.body === null ? 0 : Buffer.byteLength(JSON.stringify(entry.body));
      if (bytes > PAGE_BYTES && entries.length > 0) break;
      entries.push(structuredClone(entry));
    }
    const more = asked.length > entries.length;
    return {
      epoch: room?.epoch ?? null,
      head: headOf(room),
      tail: room?.tail ?? null,
      oldest: room ? room.trimmed + 1 : 0,
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

  async rooms({ after, limit }: { after?: string; limit: number }) {
    this.#mustBeOpen();
    const rooms = [...this.#rooms]
      .map(([name, room]) => ({ room: name, epoch: room.epoch, head: headOf(room), at: room.at }))
      .filter(({ room }) => after === undefined || byBytes(room, after) > 0)
      .sort((a, b) => byBytes(a.room, b.room));
    return { rooms: rooms.slice(0, limit), more: rooms.length > limit };
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

  async trim(name: string, below: number): Promise<void> {
    this.#mustBeOpen();
    const room = this.#rooms.get(name);
    if (!room) return;
    room.trimmed += room.entries.splice(0, Math.max(below - 1 - room.trimmed, 0)).length;
    for (const [once, entries] of room.once) if (entries.some(({ seq }) => seq < below)) room.once.delete(once);
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

  async lapsed(limit: number): Promise<{ room: string; key: string }[]> {
    this.#mustBeOpen();
    return [...this.#rooms]
      .flatMap(([room, state]) => [...state.leases.keys()].filter((key) => this.#hasLapsed(state, key)).map((key) => ({ room, key })))
      .slice(0, limit);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #write(room: Room, { id, by, author, kind, body, quiet = false, listed = false, ...effects }: Draft): Entry {
    const { sets = [], erases = [], lease, ticket } = structuredClone(effects);
    room.at = Math.max(this.#clock(), room.at);
    this.#tick += 1;
    const entry: Entry = {
      seq: headOf(room) + 1,
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
    if (!quiet) room.tail = id;
    for (const [key, value] of sets) setKey(room, key, value, entry.seq);
    if (lease) room.leases.set(lease.key, { node: lease.node, until: null });
    if (ticket) this.#leaveTicket(room, ticket, entry.seq);
    for (const seq of erases) {
      const erased = entryAt(room, seq);
      if (erased) erased.body = null;
    }
    return entry;
  }

  #leaveTicket({ tickets, epoch }: Room, { holder, key, value, ttl = Infinity }: NonNullable<Draft['ticket']>, seq: number): void {
    const holders = tickets.get(key) ?? new Map<string, { value: Json; epoch: string; seq: number; until: number }>();
    if (value === null) holders.delete(holder);
    else holders.set(holder, { value, epoch, seq, until: this.#clock() + ttl });
    tickets.set(key, holders);
  }

  #openRoom(name: string): Room {
    const room: Room = {
      epoch: randomUUID(),
      entries: [],
      tail: null,
      at: 0,
      keys: new Map(),
      once: new Map(),
      leases: new Map(),
      tickets: new Map(),
      trimmed: 0,
    };
    this.#rooms.set(name, room);
    return room;
  }

  #hasLapsed(room: Room, key: string): boolean {
    const lease = room.leases.get(key);
    return lease !== undefined && (lease.until ?? this.#nodes.get(lease.node) ?? 0) <= this.#clock();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new StoreError('closed', 'The store is closed.');
  }
}

const headOf = (room: Room | undefined): number => (room ? room.trimmed + room.entries.length : 0);
const entryAt = (room: Room | undefined, seq: number): Entry | undefined => room?.entries[seq - 1 - room.trimmed];

function asRead({ leases }: Room, name: string, key: Key): Key {
  const lease = leases.get(name);
  return { ...structuredClone(key), ...(lease && { lease: lease.until === null ? 'held' : 'released' }) };
}

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
