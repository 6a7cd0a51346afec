/** Write operations of the embedded store, run inside the writer's transaction. */
import { randomUUID } from 'node:crypto';
import type { DraftTicket } from '../contract.ts';
import { IS_MARKED_EXPIRED } from './row-mapping.ts';
import { splitKey } from './schema.ts';
import { BUSY_TIMEOUT_MS, type Database } from './sqlite-driver.ts';
import type {
  AppendedEntry,
  AppendOperation,
  AppendOperationResult,
  ImportOperation,
  Operation,
  OperationResult,
} from './writer-messages.ts';

/** Rooms whose heads the writer caches. */
const MAX_CACHED_ROOMS = 10_000;
/** The node of imported leases, and of leases that were taken from their node. It has no heartbeat. */
const NO_NODE = '';
/** Rows that one garbage collection removes, so that appends do not wait long. */
const MAX_GARBAGE_ROWS = 2_000;
/** Entries, and keys below them, that one portion of a trim removes, for the same reason. */
const MAX_TRIM_ROWS = 500;

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

/** Applies write operations to the tables. The caller manages the transaction. */
export class WriteOperations {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof prepareStatements>;
  /** Heads of rooms in the present transaction. No other connection writes, so they stay valid between transactions. */
  readonly #rooms = new Map<string, Room>();
  /** Rooms whose heads changed in this transaction. */
  readonly #dirtyRooms = new Set<Room>();
  /**
   * The newest HLC value of all rooms, including those that have ended: microseconds since 1970, or more if the clock went back
   * or entries came faster.
   */
  #hlc: number;
  /** Whether the write-ahead log may contain erased data. A process that was killed may have left some. */
  #needsWalTruncation = true;

  constructor(database: Database) {
    this.#database = database;
    this.#sql = prepareStatements(database);
    this.#hlc = this.newestHlc();
  }

  /** The newest HLC value in the database. */
  newestHlc(): number {
    return (this.#sql.newestHlc.get() as { newest: number }).newest;
  }

  /** The data are older than what readers know: every log gets a new epoch (see `nextEpoch`). */
  startNewEpochs(): void {
    this.#sql.startNewEpochs.run();
  }

  apply(operation: Operation, now: number): OperationResult {
    switch (operation.do) {
      case 'append':
        return this.#append(operation, now);
      case 'heartbeat':
        this.#sql.heartbeat.run(operation.node, now + operation.ttl);
        this.#sql.removeGoneNodes.run(now);
        return true;
      case 'acquireLease': {
        const room = this.#room(operation.room);
        if (!room || this.#seqOf(room, operation.key) !== operation.seq) return false;
        this.#sql.registerNode.run(operation.node);
        return Number(this.#sql.acquireLease.run(operation.node, room.room, ...splitKey(operation.key)).changes) > 0;
      }
      case 'releaseLease': {
        const room = this.#room(operation.room);
        if (room) this.#sql.releaseLease.run(now + operation.ttl, room.room, ...splitKey(operation.key), operation.node);
        return true;
      }
      case 'expireLease': {
        const room = this.#room(operation.room);
        const changed = room && this.#sql.expireLease.run(now + operation.ttl, room.room, ...splitKey(operation.key), now);
        return Number(changed?.changes ?? 0) > 0;
      }
      case 'advanceMark': {
        const room = this.#room(operation.room);
        const marked = room && this.#sql.advanceMark.get(operation.seq, room.room, ...splitKey(operation.key));
        return (marked as { mark: number } | undefined)?.mark ?? null;
      }
      case 'startNewEpoch':
        return this.#startNewEpoch(operation);
      case 'trim': {
        const room = this.#room(operation.room);
        return room?.epoch !== operation.epoch || this.#trim(room, operation.below);
      }
      case 'importChunk':
        return this.#importChunk(operation);
    }
  }

  /** Writes the changed heads; call this before the commit. */
  writeHeads(): void {
    if (this.#dirtyRooms.size > 0) this.#sql.saveHlc.run(this.#hlc);
    for (const { head, tail, at, tick, oldest, bytes, room } of this.#dirtyRooms)
      this.#sql.updateHead.run(head, tail, at, tick, oldest, bytes, room);
    this.#dirtyRooms.clear();
  }

  /** Call this if the transaction failed: the cache may be wrong. */
  discardCache(): void {
    this.#rooms.clear();
    this.#dirtyRooms.clear();
  }

  /** Removes some garbage; once there is no more, also truncates the write-ahead log. */
  collectGarbage(now: number): 'more' | 'done' {
    if (!this.removeGarbage(now) && this.#needsWalTruncation) this.#needsWalTruncation = !this.truncateWal();
    return this.#needsWalTruncation ? 'more' : 'done';
  }

  /** Removes some garbage in one transaction; false if there is none. */
  removeGarbage(now: number): boolean {
    this.#database.exec('BEGIN IMMEDIATE');
    const isRemoved = this.#removeEndedRoom() || this.#removeExpiredTickets(now);
    this.#database.exec('COMMIT');
    this.#needsWalTruncation ||= isRemoved;
    return isRemoved;
  }

  /**
   * Moves the write-ahead log into the database. False while a reader needs it, such as a backup: appends do not wait for that.
   */
  truncateWal(): boolean {
    this.#database.exec('PRAGMA busy_timeout = 0');
    try {
      const { busy } = this.#sql.truncateWal.get() as { busy: number };
      return busy === 0;
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
  }

  #removeEndedRoom(): boolean {
    const ended = this.#sql.endedRoom.get() as { room: number } | undefined;
    if (!ended) return false;
    let remaining = MAX_GARBAGE_ROWS;
    for (const remove of this.#sql.removeRows) remaining -= Number(remove.run(ended.room, Math.max(remaining, 0)).changes);
    if (remaining > 0) this.#sql.removeRoom.run(ended.room);
    return true;
  }

  #removeExpiredTickets(now: number): boolean {
    return Number(this.#sql.removeExpiredTickets.run(now, MAX_GARBAGE_ROWS).changes) > 0;
  }

  #append(request: AppendOperation, now: number): AppendOperationResult {
    const room = this.#room(request.room);
    if (room && request.idempotencyKey !== undefined) {
      const entries = this.#sql.byIdempotencyKey.all(room.room, request.idempotencyKey) as AppendedEntry[];
      if (entries.length > 0) return { outcome: 'repeated', epoch: room.epoch, entries };
    }
    if ((room?.epoch ?? null) !== request.epoch) return { outcome: 'stale' };
    if (request.expectedHead !== undefined && room?.head !== request.expectedHead) return { outcome: 'stale' };
    if (request.bytesBelow !== undefined && (room?.bytes ?? 0) >= request.bytesBelow) return { outcome: 'stale' };
    for (const [key, seq] of request.expectedVersions) if ((room ? this.#seqOf(room, key) : 0) !== seq) return { outcome: 'stale' };
    for (const [seq, id] of request.expectedEntries ?? []) if (!room || this.#idAt(room, seq) !== id) return { outcome: 'stale' };
    if (request.requiredExpiredLease !== undefined && !(room && this.#hasExpiredLease(room, request.requiredExpiredLease, now)))
      return { outcome: 'stale' };
    return { outcome: 'appended', ...this.#write(room ?? this.#openRoom(request.room, randomUUID()), request, now) };
  }

  #write(room: Room, { drafts, idempotencyKey }: AppendOperation, now: number): { epoch: string; entries: AppendedEntry[] } {
    const entries: AppendedEntry[] = [];
    for (const draft of drafts) {
      this.#hlc = Math.max(this.#hlc + 1, now * 1000);
      const position = { seq: room.head + 1, id: draft.id, at: Math.max(now, room.at), hlc: this.#hlc, prev: room.tail };
      this.#sql.insertEntry.run(
        room.room,
        position.seq,
        position.id,
        position.prev,
        position.at,
        position.hlc,
        draft.by,
        draft.author,
        draft.kind,
        draft.body,
        Number(draft.quiet ?? false),
        Number(draft.listed ?? false),
        idempotencyKey ?? null,
      );
      room.head = position.seq;
      room.at = position.at;
      room.tick = position.hlc;
      room.bytes += Buffer.byteLength(draft.body);
      if (!draft.quiet) room.tail = position.id;
      for (const [key, value] of draft.keyUpdates ?? [])
        this.#setKey(room, key, value === null ? null : JSON.stringify(value), position.seq);
      if (draft.lease) this.#setLease(room, draft.lease.key, draft.lease.node);
      for (const ticket of draft.tickets ?? []) this.#putTicket(room, ticket, { seq: position.seq, now });
      for (const seq of draft.eraseSeqs ?? []) this.#erase(room, seq);
      entries.push(position);
    }
    this.#dirtyRooms.add(room);
    if (drafts.some((draft) => draft.endsRoom)) this.#endRoom(room);
    return { epoch: room.epoch, entries };
  }

  #erase(room: Room, seq: number): void {
    const erased = this.#sql.bodyBytes.get(room.room, seq) as { bytes: number } | undefined;
    if (!erased) return;
    this.#sql.erase.run(room.room, seq);
    room.bytes -= erased.bytes;
    this.#needsWalTruncation = true;
  }

  #putTicket(room: Room, ticket: DraftTicket, { seq, now }: { seq: number; now: number }): void {
    const { holder, key, value, ttl } = ticket;
    const until = ttl === undefined ? null : now + ttl;
    if (value === null) this.#sql.removeTicket.run(holder, room.room, ...splitKey(key));
    else this.#sql.putTicket.run(holder, room.room, ...splitKey(key), JSON.stringify(value), room.epoch, seq, until);
  }

  #startNewEpoch({ room: name, epoch, newEpoch }: { room: string; epoch: string; newEpoch: string }): string | null {
    const room = this.#room(name);
    if (room?.epoch === epoch) {
      this.#sql.setEpoch.run(newEpoch, room.room);
      room.epoch = newEpoch;
    }
    return room?.epoch ?? null;
  }

  /** Trims a portion; true if it was the last one. */
  #trim(room: Room, below: number): boolean {
    const end = Math.min(below, room.head + 1);
    const oldest = this.#removeKeysBelow(room, room.oldest, Math.min(end, room.oldest + MAX_TRIM_ROWS));
    if (oldest > room.oldest) {
      this.#sql.clearIdempotencyKey.run(room.room, oldest);
      const trimmed = this.#sql.removeEntries.all(room.room, oldest) as { bytes: number }[];
      for (const { bytes } of trimmed) room.bytes -= bytes;
      room.oldest = oldest;
      this.#dirtyRooms.add(room);
      this.#needsWalTruncation = true;
    }
    return room.oldest >= end;
  }

  /**
   * Removes the keys below the entries of a range, up to the limit of one portion. Returns the first entry that may still have
   * some. The keys of an entry are removed in reverse order, so that the state of a chat exists as long as the chat.
   */
  #removeKeysBelow(room: Room, from: number, to: number): number {
    let remaining = MAX_TRIM_ROWS;
    for (let seq = from; seq < to; seq += 1) {
      const keys = this.#sql.keysBelow.all(room.room, `entry/${seq}/`, `entry/${seq}0`, remaining) as { family: string; name: string }[];
      for (const { family, name } of keys) this.#setKey(room, family + name, null, 0);
      remaining -= keys.length;
      if (remaining === 0) return seq;
    }
    return Math.max(from, to);
  }

  #importChunk({ room: name, head, entries, keys, tickets, idempotencyKeys }: ImportOperation): boolean {
    const known = this.#room(name);
    const room = known ?? this.#openRoom(name, head.epoch);
    Object.assign(room, { head: head.head, tail: head.lastBroadcastId, at: head.at, tick: head.hlc, oldest: head.oldest });
    this.#hlc = Math.max(this.#hlc, head.hlc);
    this.#dirtyRooms.add(room);
    for (const entry of entries) this.#importEntry(room, entry);
    for (const [key, state] of keys) this.#importKey(room, key, state);
    for (const { holder, key, value, epoch, seq, until } of tickets)
      this.#sql.putTicket.run(holder, room.room, ...splitKey(key), value, epoch, seq, until);
    for (const [idempotencyKey, first, count] of idempotencyKeys)
      this.#sql.setIdempotencyKey.run(idempotencyKey, room.room, first, first + count);
    // A body may have been replaced by null.
    this.#needsWalTruncation = true;
    return known === undefined;
  }

  #importEntry(room: Room, { seq, id, prev, at, hlc, by, author, kind, body, quiet, listed }: ImportOperation['entries'][number]): void {
    const previous = this.#sql.bodyBytes.get(room.room, seq) as { bytes: number } | undefined;
    room.bytes += (body === null ? 0 : Buffer.byteLength(body)) - (previous?.bytes ?? 0);
    this.#sql.putEntry.run(room.room, seq, id, prev, at, hlc, by, author, kind, body, Number(quiet), Number(listed));
  }

  /** A held lease is imported as held, but its node is gone; a released one is imported as expired. */
  #importKey(room: Room, key: string, { value, seq, mark, lease }: ImportOperation['keys'][number][1]): void {
    this.#setKey(room, key, value, seq);
    this.#sql.putMark.run(mark ?? null, room.room, ...splitKey(key));
    this.#sql.removeLease.run(room.room, ...splitKey(key));
    if (lease) this.#setLease(room, key, NO_NODE);
    if (lease && lease !== 'held') this.#sql.releaseLease.run(lease === 'expired' ? 1 : 0, room.room, ...splitKey(key), NO_NODE);
  }

  #setLease(room: Room, key: string, node: string): void {
    this.#sql.registerNode.run(node);
    this.#sql.setLease.run(room.room, ...splitKey(key), node);
  }

  #setKey(room: Room, key: string, value: string | null, seq: number): void {
    const [family, name] = splitKey(key);
    if (value === null) {
      if (Number(this.#sql.removeKey.run(room.room, family, name).changes) === 0) return;
      this.#sql.removeLease.run(room.room, family, name);
      this.#addToCount(room, family, -1);
    } else if (Number(this.#sql.replaceKey.run(value, seq, room.room, family, name).changes) === 0) {
      this.#sql.insertKey.run(room.room, family, name, value, seq);
      this.#addToCount(room, family, 1);
    }
  }

  #addToCount(room: Room, family: string, by: 1 | -1): void {
    if (family === '') return;
    const [parent, name] = splitKey(family.slice(0, -1));
    this.#sql.addToCount.run(room.room, parent, name, by);
    if (by < 0) this.#sql.removeEmptyCount.run(room.room, parent, name);
  }

  #seqOf(room: Room, key: string): number {
    const row = this.#sql.keySeq.get(room.room, ...splitKey(key)) as { seq: number } | undefined;
    return row?.seq ?? 0;
  }

  #idAt(room: Room, seq: number): string | undefined {
    return (this.#sql.entryId.get(room.room, seq) as { id: string } | undefined)?.id;
  }

  #hasExpiredLease(room: Room, key: string, now: number): boolean {
    return this.#sql.expiredLease.get(room.room, ...splitKey(key), now) !== undefined;
  }

  #room(name: string): Room | undefined {
    const room = this.#rooms.get(name) ?? (this.#sql.findRoom.get(name) as Room | undefined);
    if (room) this.#cacheRoom(room);
    return room;
  }

  #openRoom(name: string, epoch: string): Room {
    const { room } = this.#sql.openRoom.get(name, epoch) as { room: number };
    const opened: Room = { room, name, epoch, head: 0, tail: null, at: 0, tick: 0, oldest: 1, bytes: 0 };
    this.#cacheRoom(opened);
    return opened;
  }

  #endRoom(room: Room): void {
    this.#sql.endRoom.run(room.room);
    this.#rooms.delete(room.name);
  }

  /** The map is in the order of use. A changed room must stay until its head is written. */
  #cacheRoom(room: Room): void {
    this.#rooms.delete(room.name);
    this.#rooms.set(room.name, room);
    if (this.#rooms.size <= MAX_CACHED_ROOMS) return;
    for (const oldest of this.#rooms.values()) {
      if (this.#dirtyRooms.has(oldest)) continue;
      this.#rooms.delete(oldest.name);
      return;
    }
  }
}

function prepareStatements(database: Database) {
  const sql = (text: string) => database.prepare(text);
  const someRows = (table: string, rest: string) =>
    sql(`DELETE FROM ${table} WHERE room = ?1 AND ${rest} IN (SELECT ${rest.replace(/[()]/g, '')} FROM ${table} WHERE room = ?1 LIMIT ?2)`);
  return {
    findRoom: sql('SELECT room, name, epoch, head, tail, at, tick, oldest, bytes FROM rooms WHERE name = ?'),
    openRoom: sql('INSERT INTO rooms (name, epoch, head, at) VALUES (?, ?, 0, 0) RETURNING room'),
    startNewEpochs: sql("UPDATE rooms SET epoch = substr(epoch, 1, instr(epoch || '.', '.') - 1) || '.' || lower(hex(randomblob(6)))"),
    newestHlc: sql('SELECT newest FROM ticks'),
    saveHlc: sql('UPDATE ticks SET newest = ?'),
    updateHead: sql('UPDATE rooms SET head = ?, tail = ?, at = ?, tick = ?, oldest = ?, bytes = ? WHERE room = ?'),
    setEpoch: sql('UPDATE rooms SET epoch = ? WHERE room = ?'),
    // For an append that is trimmed in its middle.
    clearIdempotencyKey: sql(
      `UPDATE entries INDEXED BY named_appends SET once = NULL
       WHERE room = ?1 AND once = (SELECT once FROM entries WHERE room = ?1 AND seq = ?2 - 1) AND seq >= ?2`,
    ),
    keysBelow: sql('SELECT family, name FROM keys WHERE room = ? AND family >= ? AND family < ? ORDER BY family DESC, name DESC LIMIT ?'),
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
    // Without INDEXED BY, SQLite, without statistics of our data, scans the whole room.
    byIdempotencyKey: sql('SELECT seq, id, at, prev FROM entries INDEXED BY named_appends WHERE room = ? AND once = ? ORDER BY seq'),
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
    setIdempotencyKey: sql('UPDATE entries SET once = ? WHERE room = ? AND seq >= ? AND seq < ?'),
    putMark: sql('UPDATE keys SET mark = ? WHERE room = ? AND family = ? AND name = ?'),
    advanceMark: sql('UPDATE keys SET mark = max(coalesce(mark, 0), ?) WHERE room = ? AND family = ? AND name = ? RETURNING mark'),
    putTicket: sql('INSERT OR REPLACE INTO tickets (holder, room, family, name, value, epoch, seq, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    removeTicket: sql('DELETE FROM tickets WHERE holder = ? AND room = ? AND family = ? AND name = ?'),
    removeExpiredTickets: sql(
      `DELETE FROM tickets WHERE (holder, room, family, name) IN
       (SELECT holder, room, family, name FROM tickets INDEXED BY ending_tickets WHERE until <= ? LIMIT ?)`,
    ),
    removeKey: sql('DELETE FROM keys WHERE room = ? AND family = ? AND name = ?'),
    addToCount: sql(
      'INSERT INTO counts (room, parent, family, count) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
    ),
    removeEmptyCount: sql('DELETE FROM counts WHERE room = ? AND parent = ? AND family = ? AND count = 0'),
    setLease: sql('INSERT OR REPLACE INTO leases (room, family, name, node) VALUES (?, ?, ?, ?)'),
    removeLease: sql('DELETE FROM leases WHERE room = ? AND family = ? AND name = ?'),
    acquireLease: sql('UPDATE leases SET node = ?, until = NULL WHERE room = ? AND family = ? AND name = ?'),
    releaseLease: sql('UPDATE leases SET until = ? WHERE room = ? AND family = ? AND name = ? AND node = ? AND until IS NULL'),
    expiredLease: sql(
      `SELECT 1 FROM leases LEFT JOIN nodes USING (node)
       WHERE room = ? AND family = ? AND name = ? AND (coalesce(leases.until, nodes.until, 0) <= ? OR ${IS_MARKED_EXPIRED})`,
    ),
    expireLease: sql(
      `UPDATE leases SET node = '', until = ? WHERE room = ? AND family = ? AND name = ?
       AND coalesce(until, (SELECT nodes.until FROM nodes WHERE nodes.node = leases.node), 0) <= ?`,
    ),
    // A node without a heartbeat is gone: this row makes its leases discoverable like those of any other node.
    registerNode: sql('INSERT OR IGNORE INTO nodes (node, until) VALUES (?, 0)'),
    heartbeat: sql('INSERT OR REPLACE INTO nodes (node, until) VALUES (?, ?)'),
    removeGoneNodes: sql(
      'DELETE FROM nodes WHERE until <= ? AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.node = nodes.node AND leases.until IS NULL)',
    ),
    truncateWal: sql('PRAGMA wal_checkpoint(TRUNCATE)'),
  };
}
