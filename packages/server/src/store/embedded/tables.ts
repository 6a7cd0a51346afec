import { randomUUID } from 'node:crypto';
import type { DraftTicket } from '../store.ts';
import type { AppendAnswer, AppendOperation, Operation, OperationAnswer, PlacedEntry, UnpackOperation } from './operations.ts';
import { IS_SET_ASIDE } from './rows.ts';
import { splitKey } from './schema.ts';
import { BUSY_TIMEOUT_MS, type Database } from './sqlite.ts';

/** Rooms whose heads the writer remembers. */
const REMEMBERED_ROOMS = 10_000;
/** Has the leases that were unpacked, and those that were set aside. It never beats. */
const NO_NODE = '';
/** Rows that one tidying removes, so that no append waits long behind it. */
const TIDY_ROWS = 2_000;
/** Entries, and keys beneath them, that one portion of a trim removes, for the same reason. */
const TRIM_ROWS = 500;

interface Room {
  room: number;
  name: string;
  epoch: string;
  head: number;
  tail: string | null;
  at: number;
  tick: number;
  oldest: number;
  bytes: number;
}

/** The writer's view of the tables: applies operations inside the transaction that its caller holds. */
export class Tables {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof prepareAll>;
  /** Heads of rooms as this transaction has them. We are the only writer, so they stay true between transactions. */
  readonly #rooms = new Map<string, Room>();
  /** Rooms whose heads moved in this transaction. */
  readonly #moved = new Set<Room>();
  /** The newest tick of all rooms, those that ended too: microseconds since 1970, or more when the clock went back or entries came faster. */
  #tick: number;
  /** Whether the write-ahead log may hold what was erased; a process that was killed may have left such a one. */
  #erased = true;

  constructor(database: Database) {
    this.#database = database;
    this.#sql = prepareAll(database);
    this.#tick = this.newestTick();
  }

  /** The newest tick that is kept. */
  newestTick(): number {
    return (this.#sql.newestTick.get() as { newest: number }).newest;
  }

  /** What is here is not what readers knew: every log begins another life (see `forkOf`). */
  forkAll(): void {
    this.#sql.forkAll.run();
  }

  apply(operation: Operation, now: number): OperationAnswer {
    switch (operation.do) {
      case 'append':
        return this.#append(operation, now);
      case 'beat':
        this.#sql.beat.run(operation.node, now + operation.ttl);
        this.#sql.forgetNodes.run(now);
        return true;
      case 'hold': {
        const room = this.#room(operation.room);
        if (!room || this.#seqOf(room, operation.key) !== operation.seq) return false;
        this.#sql.meetNode.run(operation.node);
        return Number(this.#sql.hold.run(operation.node, room.room, ...splitKey(operation.key)).changes) > 0;
      }
      case 'release': {
        const room = this.#room(operation.room);
        if (room) this.#sql.release.run(now + operation.ttl, room.room, ...splitKey(operation.key), operation.node);
        return true;
      }
      case 'setAside': {
        const room = this.#room(operation.room);
        const changed = room && this.#sql.setAside.run(now + operation.ttl, room.room, ...splitKey(operation.key), now);
        return Number(changed?.changes ?? 0) > 0;
      }
      case 'mark': {
        const room = this.#room(operation.room);
        const marked = room && this.#sql.mark.get(operation.seq, room.room, ...splitKey(operation.key));
        return (marked as { mark: number } | undefined)?.mark ?? null;
      }
      case 'fork':
        return this.#fork(operation);
      case 'trim': {
        const room = this.#room(operation.room);
        return room?.epoch !== operation.epoch || this.#trim(room, operation.below);
      }
      case 'unpack':
        return this.#unpack(operation);
    }
  }

  /** Writes the heads that moved; before the commit. */
  flush(): void {
    if (this.#moved.size > 0) this.#sql.keepTick.run(this.#tick);
    for (const { head, tail, at, tick, oldest, bytes, room } of this.#moved)
      this.#sql.moveHead.run(head, tail, at, tick, oldest, bytes, room);
    this.#moved.clear();
  }

  /** The transaction failed: what it made us believe is not so. */
  forget(): void {
    this.#rooms.clear();
    this.#moved.clear();
  }

  /** Removes some of what nobody reads any more; once there is no more of it, it leaves the write-ahead log too. */
  tidy(now: number): 'more' | 'done' {
    if (!this.removeSome(now) && this.#erased) this.#erased = !this.emptyLog();
    return this.#erased ? 'more' : 'done';
  }

  /** Removes some of what nobody reads any more, in one transaction; false when there is nothing. */
  removeSome(now: number): boolean {
    this.#database.exec('BEGIN IMMEDIATE');
    const isRemoved = this.#removeEnded() || this.#removeTickets(now);
    this.#database.exec('COMMIT');
    this.#erased ||= isRemoved;
    return isRemoved;
  }

  /** Moves the write-ahead log into the database; false while a reader, a backup perhaps, needs it: no append waits for that. */
  emptyLog(): boolean {
    this.#database.exec('PRAGMA busy_timeout = 0');
    try {
      const { busy } = this.#sql.truncateLog.get() as { busy: number };
      return busy === 0;
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
  }

  #removeEnded(): boolean {
    const ended = this.#sql.endedRoom.get() as { room: number } | undefined;
    if (!ended) return false;
    let left = TIDY_ROWS;
    for (const remove of this.#sql.removeRows) left -= Number(remove.run(ended.room, Math.max(left, 0)).changes);
    if (left > 0) this.#sql.removeRoom.run(ended.room);
    return true;
  }

  #removeTickets(now: number): boolean {
    return Number(this.#sql.removeTickets.run(now, TIDY_ROWS).changes) > 0;
  }

  #append(append: AppendOperation, now: number): AppendAnswer {
    const room = this.#room(append.room);
    if (room && append.once !== undefined) {
      const kept = this.#sql.recall.all(room.room, append.once) as PlacedEntry[];
      if (kept.length > 0) return { outcome: 'repeated', epoch: room.epoch, entries: kept };
    }
    if ((room?.epoch ?? null) !== append.epoch) return { outcome: 'stale' };
    if (append.head !== undefined && room?.head !== append.head) return { outcome: 'stale' };
    if (append.bytesBelow !== undefined && (room?.bytes ?? 0) >= append.bytesBelow) return { outcome: 'stale' };
    for (const [key, seq] of append.given) if ((room ? this.#seqOf(room, key) : 0) !== seq) return { outcome: 'stale' };
    for (const [seq, id] of append.entries ?? []) if (!room || this.#idAt(room, seq) !== id) return { outcome: 'stale' };
    if (append.lapsed !== undefined && !(room && this.#hasLapsed(room, append.lapsed, now))) return { outcome: 'stale' };
    return { outcome: 'appended', ...this.#write(room ?? this.#openRoom(append.room, randomUUID()), append, now) };
  }

  #write(room: Room, { drafts, once }: AppendOperation, now: number): { epoch: string; entries: PlacedEntry[] } {
    const entries: PlacedEntry[] = [];
    for (const draft of drafts) {
      this.#tick = Math.max(this.#tick + 1, now * 1000);
      const placed = { seq: room.head + 1, id: draft.id, at: Math.max(now, room.at), tick: this.#tick, prev: room.tail };
      this.#sql.insertEntry.run(
        room.room,
        placed.seq,
        placed.id,
        placed.prev,
        placed.at,
        placed.tick,
        draft.by,
        draft.author,
        draft.kind,
        draft.body,
        Number(draft.quiet ?? false),
        Number(draft.listed ?? false),
        once ?? null,
      );
      room.head = placed.seq;
      room.at = placed.at;
      room.tick = placed.tick;
      room.bytes += Buffer.byteLength(draft.body);
      if (!draft.quiet) room.tail = placed.id;
      for (const [key, value] of draft.sets ?? []) this.#setKey(room, key, value === null ? null : JSON.stringify(value), placed.seq);
      if (draft.lease) this.#lease(room, draft.lease.key, draft.lease.node);
      for (const ticket of draft.tickets ?? []) this.#leaveTicket(room, ticket, { seq: placed.seq, now });
      for (const seq of draft.erases ?? []) this.#erase(room, seq);
      entries.push(placed);
    }
    this.#moved.add(room);
    if (drafts.some((draft) => draft.ends)) this.#endRoom(room);
    return { epoch: room.epoch, entries };
  }

  #erase(room: Room, seq: number): void {
    const erased = this.#sql.bodyBytes.get(room.room, seq) as { bytes: number } | undefined;
    if (!erased) return;
    this.#sql.erase.run(room.room, seq);
    room.bytes -= erased.bytes;
    this.#erased = true;
  }

  #leaveTicket(room: Room, ticket: DraftTicket, { seq, now }: { seq: number; now: number }): void {
    const { holder, key, value, ttl } = ticket;
    const until = ttl === undefined ? null : now + ttl;
    if (value === null) this.#sql.removeTicket.run(holder, room.room, ...splitKey(key));
    else this.#sql.leaveTicket.run(holder, room.room, ...splitKey(key), JSON.stringify(value), room.epoch, seq, until);
  }

  #fork({ room: name, epoch, newEpoch }: { room: string; epoch: string; newEpoch: string }): string | null {
    const room = this.#room(name);
    if (room?.epoch === epoch) {
      this.#sql.setEpoch.run(newEpoch, room.room);
      room.epoch = newEpoch;
    }
    return room?.epoch ?? null;
  }

  /** A portion of it; true when that was the last. */
  #trim(room: Room, below: number): boolean {
    const end = Math.min(below, room.head + 1);
    const oldest = this.#removeKeysBeneath(room, room.oldest, Math.min(end, room.oldest + TRIM_ROWS));
    if (oldest > room.oldest) {
      this.#sql.forgetAppend.run(room.room, oldest);
      const trimmed = this.#sql.removeEntries.all(room.room, oldest) as { bytes: number }[];
      for (const { bytes } of trimmed) room.bytes -= bytes;
      room.oldest = oldest;
      this.#moved.add(room);
      this.#erased = true;
    }
    return room.oldest >= end;
  }

  /**
   * The keys beneath the entries of a range, as far as one portion goes: answers the first entry that may have some left.
   * Those of one entry from the last on, so that what became of a chat is there for as long as the chat.
   */
  #removeKeysBeneath(room: Room, from: number, to: number): number {
    let left = TRIM_ROWS;
    for (let seq = from; seq < to; seq += 1) {
      const keys = this.#sql.keysBeneath.all(room.room, `entry/${seq}/`, `entry/${seq}0`, left) as { family: string; name: string }[];
      for (const { family, name } of keys) this.#setKey(room, family + name, null, 0);
      left -= keys.length;
      if (left === 0) return seq;
    }
    return Math.max(from, to);
  }

  #unpack({ room: name, head, entries, keys, tickets, onces }: UnpackOperation): boolean {
    const known = this.#room(name);
    const room = known ?? this.#openRoom(name, head.epoch);
    Object.assign(room, { head: head.head, tail: head.tail, at: head.at, tick: head.tick, oldest: head.oldest });
    this.#tick = Math.max(this.#tick, head.tick);
    this.#moved.add(room);
    for (const entry of entries) this.#putEntry(room, entry);
    for (const [key, of] of keys) this.#putKey(room, key, of);
    for (const { holder, key, value, epoch, seq, until } of tickets)
      this.#sql.leaveTicket.run(holder, room.room, ...splitKey(key), value, epoch, seq, until);
    for (const [once, first, count] of onces) this.#sql.nameAppend.run(once, room.room, first, first + count);
    // A body may have been replaced by nothing.
    this.#erased = true;
    return known === undefined;
  }

  #putEntry(room: Room, { seq, id, prev, at, tick, by, author, kind, body, quiet, listed }: UnpackOperation['entries'][number]): void {
    const before = this.#sql.bodyBytes.get(room.room, seq) as { bytes: number } | undefined;
    room.bytes += (body === null ? 0 : Buffer.byteLength(body)) - (before?.bytes ?? 0);
    this.#sql.putEntry.run(room.room, seq, id, prev, at, tick, by, author, kind, body, Number(quiet), Number(listed));
  }

  /** A lease that was held says so, though its node is gone; one that was released has run out too. */
  #putKey(room: Room, key: string, { value, seq, mark, lease }: UnpackOperation['keys'][number][1]): void {
    this.#setKey(room, key, value, seq);
    this.#sql.putMark.run(mark ?? null, room.room, ...splitKey(key));
    this.#sql.endLease.run(room.room, ...splitKey(key));
    if (lease) this.#lease(room, key, NO_NODE);
    if (lease && lease !== 'held') this.#sql.release.run(lease === 'lapsed' ? 1 : 0, room.room, ...splitKey(key), NO_NODE);
  }

  #lease(room: Room, key: string, node: string): void {
    this.#sql.meetNode.run(node);
    this.#sql.lease.run(room.room, ...splitKey(key), node);
  }

  #setKey(room: Room, key: string, value: string | null, seq: number): void {
    const [family, name] = splitKey(key);
    if (value === null) {
      if (Number(this.#sql.removeKey.run(room.room, family, name).changes) === 0) return;
      this.#sql.endLease.run(room.room, family, name);
      this.#count(room, family, -1);
    } else if (Number(this.#sql.replaceKey.run(value, seq, room.room, family, name).changes) === 0) {
      this.#sql.insertKey.run(room.room, family, name, value, seq);
      this.#count(room, family, 1);
    }
  }

  #count(room: Room, family: string, by: 1 | -1): void {
    if (family === '') return;
    const [parent, name] = splitKey(family.slice(0, -1));
    this.#sql.count.run(room.room, parent, name, by);
    if (by < 0) this.#sql.removeEmptyCount.run(room.room, parent, name);
  }

  #seqOf(room: Room, key: string): number {
    const row = this.#sql.keySeq.get(room.room, ...splitKey(key)) as { seq: number } | undefined;
    return row?.seq ?? 0;
  }

  #idAt(room: Room, seq: number): string | undefined {
    return (this.#sql.entryId.get(room.room, seq) as { id: string } | undefined)?.id;
  }

  #hasLapsed(room: Room, key: string, now: number): boolean {
    return this.#sql.lapsedLease.get(room.room, ...splitKey(key), now) !== undefined;
  }

  #room(name: string): Room | undefined {
    const room = this.#rooms.get(name) ?? (this.#sql.findRoom.get(name) as Room | undefined);
    if (room) this.#remember(room);
    return room;
  }

  #openRoom(name: string, epoch: string): Room {
    const { room } = this.#sql.openRoom.get(name, epoch) as { room: number };
    const opened: Room = { room, name, epoch, head: 0, tail: null, at: 0, tick: 0, oldest: 1, bytes: 0 };
    this.#remember(opened);
    return opened;
  }

  #endRoom(room: Room): void {
    this.#sql.endRoom.run(room.room);
    this.#rooms.delete(room.name);
  }

  /** Last used is last in the map; a room that moved must stay until its head is written. */
  #remember(room: Room): void {
    this.#rooms.delete(room.name);
    this.#rooms.set(room.name, room);
    if (this.#rooms.size <= REMEMBERED_ROOMS) return;
    for (const oldest of this.#rooms.values()) {
      if (this.#moved.has(oldest)) continue;
      this.#rooms.delete(oldest.name);
      return;
    }
  }
}

function prepareAll(database: Database) {
  const sql = (text: string) => database.prepare(text);
  const someRows = (table: string, rest: string) =>
    sql(`DELETE FROM ${table} WHERE room = ?1 AND ${rest} IN (SELECT ${rest.replace(/[()]/g, '')} FROM ${table} WHERE room = ?1 LIMIT ?2)`);
  return {
    findRoom: sql('SELECT room, name, epoch, head, tail, at, tick, oldest, bytes FROM rooms WHERE name = ?'),
    openRoom: sql('INSERT INTO rooms (name, epoch, head, at) VALUES (?, ?, 0, 0) RETURNING room'),
    forkAll: sql("UPDATE rooms SET epoch = substr(epoch, 1, instr(epoch || '.', '.') - 1) || '.' || lower(hex(randomblob(6)))"),
    newestTick: sql('SELECT newest FROM ticks'),
    keepTick: sql('UPDATE ticks SET newest = ?'),
    moveHead: sql('UPDATE rooms SET head = ?, tail = ?, at = ?, tick = ?, oldest = ?, bytes = ? WHERE room = ?'),
    setEpoch: sql('UPDATE rooms SET epoch = ? WHERE room = ?'),
    // An append that is trimmed in its middle.
    forgetAppend: sql(
      `UPDATE entries INDEXED BY named_appends SET once = NULL
       WHERE room = ?1 AND once = (SELECT once FROM entries WHERE room = ?1 AND seq = ?2 - 1) AND seq >= ?2`,
    ),
    keysBeneath: sql('SELECT family, name FROM keys WHERE room = ? AND family >= ? AND family < ? ORDER BY family DESC, name DESC LIMIT ?'),
    removeEntries: sql('DELETE FROM entries WHERE room = ? AND seq < ? RETURNING coalesce(octet_length(body), 0) AS bytes'),
    endRoom: sql('UPDATE rooms SET name = NULL WHERE room = ?'),
    endedRoom: sql('SELECT room FROM rooms WHERE name IS NULL LIMIT 1'),
    removeRows: [
      someRows('entries', 'seq'),
      someRows('keys', '(family, name)'),
      someRows('counts', '(parent, family)'),
      someRows('leases', '(family, name)'),
      someRows('tickets', '(holder, family, name)'),
    ],
    removeRoom: sql('DELETE FROM rooms WHERE room = ?'),
    insertEntry: sql(
      'INSERT INTO entries (room, seq, id, prev, at, tick, by, author, kind, body, quiet, listed, once) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    // Without INDEXED BY SQLite, which has no statistics of ours, goes through the whole room.
    recall: sql('SELECT seq, id, at, prev FROM entries INDEXED BY named_appends WHERE room = ? AND once = ? ORDER BY seq'),
    bodyBytes: sql('SELECT octet_length(body) AS bytes FROM entries WHERE room = ? AND seq = ? AND body IS NOT NULL'),
    erase: sql('UPDATE entries SET body = NULL WHERE room = ? AND seq = ?'),
    entryId: sql('SELECT id FROM entries WHERE room = ? AND seq = ?'),
    keySeq: sql('SELECT seq FROM keys WHERE room = ? AND family = ? AND name = ?'),
    insertKey: sql('INSERT INTO keys (room, family, name, value, seq) VALUES (?, ?, ?, ?, ?)'),
    replaceKey: sql('UPDATE keys SET value = ?, seq = ? WHERE room = ? AND family = ? AND name = ?'),
    putEntry: sql(
      `INSERT INTO entries (room, seq, id, prev, at, tick, by, author, kind, body, quiet, listed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET id = excluded.id, prev = excluded.prev, at = excluded.at, tick = excluded.tick, by = excluded.by,
         author = excluded.author, kind = excluded.kind, body = excluded.body, quiet = excluded.quiet, listed = excluded.listed`,
    ),
    nameAppend: sql('UPDATE entries SET once = ? WHERE room = ? AND seq >= ? AND seq < ?'),
    putMark: sql('UPDATE keys SET mark = ? WHERE room = ? AND family = ? AND name = ?'),
    mark: sql('UPDATE keys SET mark = max(coalesce(mark, 0), ?) WHERE room = ? AND family = ? AND name = ? RETURNING mark'),
    leaveTicket: sql(
      'INSERT OR REPLACE INTO tickets (holder, room, family, name, value, epoch, seq, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    removeTicket: sql('DELETE FROM tickets WHERE holder = ? AND room = ? AND family = ? AND name = ?'),
    removeTickets: sql(
      `DELETE FROM tickets WHERE (holder, room, family, name) IN
       (SELECT holder, room, family, name FROM tickets INDEXED BY ending_tickets WHERE until <= ? LIMIT ?)`,
    ),
    removeKey: sql('DELETE FROM keys WHERE room = ? AND family = ? AND name = ?'),
    count: sql(
      'INSERT INTO counts (room, parent, family, count) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
    ),
    removeEmptyCount: sql('DELETE FROM counts WHERE room = ? AND parent = ? AND family = ? AND count = 0'),
    lease: sql('INSERT OR REPLACE INTO leases (room, family, name, node) VALUES (?, ?, ?, ?)'),
    endLease: sql('DELETE FROM leases WHERE room = ? AND family = ? AND name = ?'),
    hold: sql('UPDATE leases SET node = ?, until = NULL WHERE room = ? AND family = ? AND name = ?'),
    release: sql('UPDATE leases SET until = ? WHERE room = ? AND family = ? AND name = ? AND node = ? AND until IS NULL'),
    lapsedLease: sql(
      `SELECT 1 FROM leases LEFT JOIN nodes USING (node)
       WHERE room = ? AND family = ? AND name = ? AND (coalesce(leases.until, nodes.until, 0) <= ? OR ${IS_SET_ASIDE})`,
    ),
    setAside: sql(
      `UPDATE leases SET node = '', until = ? WHERE room = ? AND family = ? AND name = ?
       AND coalesce(until, (SELECT nodes.until FROM nodes WHERE nodes.node = leases.node), 0) <= ?`,
    ),
    // A node that never beat is gone: its leases are to be found by its row like those of any other.
    meetNode: sql('INSERT OR IGNORE INTO nodes (node, until) VALUES (?, 0)'),
    beat: sql('INSERT OR REPLACE INTO nodes (node, until) VALUES (?, ?)'),
    forgetNodes: sql(
      'DELETE FROM nodes WHERE until <= ? AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.node = nodes.node AND leases.until IS NULL)',
    ),
    truncateLog: sql('PRAGMA wal_checkpoint(TRUNCATE)'),
  };
}
