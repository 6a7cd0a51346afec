import type { AppendAnswer, AppendOperation, Operation, PlacedEntry } from './operations.ts';
import { splitKey } from './schema.ts';
import { BUSY_TIMEOUT_MS, type Database } from './sqlite.ts';

/** Rooms whose heads the writer remembers. */
const REMEMBERED_ROOMS = 10_000;
/** Rows of an ended room that one tidying removes, so that no append waits long behind it. */
const TIDY_ROWS = 2_000;

interface Room {
  room: number;
  name: string;
  epoch: string;
  head: number;
  tail: string | null;
  at: number;
}

/** The writer's view of the tables: applies operations inside the transaction that its caller holds. */
export class Tables {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof prepareAll>;
  /** Heads of rooms as this transaction has them. We are the only writer, so they stay true between transactions. */
  readonly #rooms = new Map<string, Room>();
  /** Rooms whose heads moved in this transaction. */
  readonly #moved = new Set<Room>();
  /** Whether the write-ahead log may hold what was erased; a process that was killed may have left such a one. */
  #erased = true;

  constructor(database: Database) {
    this.#database = database;
    this.#sql = prepareAll(database);
  }

  apply(operation: Operation, now: number): AppendAnswer | boolean {
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
    }
  }

  /** Writes the heads that moved; before the commit. */
  flush(): void {
    for (const { head, tail, at, room } of this.#moved) this.#sql.moveHead.run(head, tail, at, room);
    this.#moved.clear();
  }

  /** The transaction failed: what it made us believe is not so. */
  forget(): void {
    this.#rooms.clear();
    this.#moved.clear();
  }

  /** Removes rows of ended rooms, and what was erased from the write-ahead log too. */
  tidy(): 'more' | 'done' {
    const ended = this.#sql.endedRoom.get() as { room: number } | undefined;
    if (ended) {
      let left = TIDY_ROWS;
      for (const remove of this.#sql.removeRows) left -= Number(remove.run(ended.room, Math.max(left, 0)).changes);
      if (left > 0) this.#sql.removeRoom.run(ended.room);
      this.#erased = true;
      return 'more';
    }
    if (this.#erased) this.#erased = !this.emptyLog();
    return this.#erased ? 'more' : 'done';
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

  #append(append: AppendOperation, now: number): AppendAnswer {
    const room = this.#room(append.room);
    if (room && append.once !== null) {
      const kept = this.#sql.recall.all(room.room, append.once) as PlacedEntry[];
      if (kept.length > 0) return { outcome: 'repeated', epoch: room.epoch, entries: kept };
    }
    if ((room?.epoch ?? null) !== append.epoch) return { outcome: 'stale' };
    for (const [key, seq] of append.given) if ((room ? this.#seqOf(room, key) : 0) !== seq) return { outcome: 'stale' };
    if (append.lapsed !== null && !(room && this.#hasLapsed(room, append.lapsed, now))) return { outcome: 'stale' };
    return { outcome: 'appended', ...this.#write(room ?? this.#openRoom(append), append, now) };
  }

  #write(room: Room, { drafts, once }: AppendOperation, now: number): { epoch: string; entries: PlacedEntry[] } {
    const entries: PlacedEntry[] = [];
    for (const draft of drafts) {
      const placed = { seq: room.head + 1, id: draft.id, at: Math.max(now, room.at), prev: room.tail };
      this.#sql.insertEntry.run(
        room.room,
        placed.seq,
        placed.id,
        placed.prev,
        placed.at,
        draft.by,
        draft.author,
        draft.kind,
        draft.body,
        Number(draft.quiet),
        Number(draft.listed),
        once,
      );
      room.head = placed.seq;
      room.at = placed.at;
      if (!draft.quiet) room.tail = placed.id;
      for (const [key, value] of draft.sets) this.#setKey(room, key, value, placed.seq);
      if (draft.lease) {
        this.#sql.meetNode.run(draft.lease.node);
        this.#sql.lease.run(room.room, ...splitKey(draft.lease.key), draft.lease.node);
      }
      for (const seq of draft.erases) this.#erased = Number(this.#sql.erase.run(room.room, seq).changes) > 0 || this.#erased;
      entries.push(placed);
    }
    this.#moved.add(room);
    if (drafts.some((draft) => draft.ends)) this.#endRoom(room);
    return { epoch: room.epoch, entries };
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

  #hasLapsed(room: Room, key: string, now: number): boolean {
    return this.#sql.lapsedLease.get(room.room, ...splitKey(key), now) !== undefined;
  }

  #room(name: string): Room | undefined {
    const room = this.#rooms.get(name) ?? (this.#sql.findRoom.get(name) as Room | undefined);
    if (room) this.#remember(room);
    return room;
  }

  #openRoom({ room: name, newEpoch: epoch }: AppendOperation): Room {
    const { room } = this.#sql.openRoom.get(name, epoch) as { room: number };
    const opened: Room = { room, name, epoch, head: 0, tail: null, at: 0 };
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
    findRoom: sql('SELECT room, name, epoch, head, tail, at FROM rooms WHERE name = ?'),
    openRoom: sql('INSERT INTO rooms (name, epoch, head, at) VALUES (?, ?, 0, 0) RETURNING room'),
    moveHead: sql('UPDATE rooms SET head = ?, tail = ?, at = ? WHERE room = ?'),
    endRoom: sql('UPDATE rooms SET name = NULL WHERE room = ?'),
    endedRoom: sql('SELECT room FROM rooms WHERE name IS NULL LIMIT 1'),
    removeRows: [
      someRows('entries', 'seq'),
      someRows('keys', '(family, name)'),
      someRows('counts', '(parent, family)'),
      someRows('leases', '(family, name)'),
    ],
    removeRoom: sql('DELETE FROM rooms WHERE room = ?'),
    insertEntry: sql(
      'INSERT INTO entries (room, seq, id, prev, at, by, author, kind, body, quiet, listed, once) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    // Without INDEXED BY SQLite, which has no statistics of ours, goes through the whole room.
    recall: sql('SELECT seq, id, at, prev FROM entries INDEXED BY named_appends WHERE room = ? AND once = ? ORDER BY seq'),
    erase: sql('UPDATE entries SET body = NULL WHERE room = ? AND seq = ? AND body IS NOT NULL'),
    keySeq: sql('SELECT seq FROM keys WHERE room = ? AND family = ? AND name = ?'),
    insertKey: sql('INSERT INTO keys (room, family, name, value, seq) VALUES (?, ?, ?, ?, ?)'),
    replaceKey: sql('UPDATE keys SET value = ?, seq = ? WHERE room = ? AND family = ? AND name = ?'),
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
       WHERE room = ? AND family = ? AND name = ? AND coalesce(leases.until, nodes.until, 0) <= ?`,
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
