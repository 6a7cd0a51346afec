/** The names of all Redis keys and channels. */
import { partitionOf, tags } from './partitions.ts';

/**
 * All names begin with the prefix and the tag of a partition. Names that users choose (rooms, nodes, holders) come last and are
 * never used as a pattern. The keys of a room are authoritative. Global keys are hints of where to look, because data about all
 * rooms cannot be written atomically with one of them.
 */
export class KeyNames {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  room(room: string) {
    const partition = partitionOf(room);
    const base = this.#prefixOf(partition);
    const keyName = (kind: string) => `${base}${kind}:${room}`;
    return {
      partition,
      /**
       * Hash: epoch, head, tail (id of the last broadcast entry), at, tick (HLC value), oldest, bytes, listedFrom, onceAt,
       * onceIn.
       */
      room: keyName('room'),
      /** Hash: seq → `[id,prev,at,tick,by,author,kind,flags]`, a line feed, and the body; without those two if erased. */
      log: keyName('log'),
      /** Bitmap: which entries from `listedFrom` on are listed. */
      listed: keyName('listed'),
      /** Hash: key → its seq, a space, and its value. */
      keys: keyName('keys'),
      /** Sorted set, by bytes: family with its slash, U+0000, and name of every key. */
      sortedKeys: keyName('order'),
      /** Hash: key → seq. */
      marks: keyName('marks'),
      /** Hash: key → node, U+0000, and expiry time; no time while held. No node for a lease that was taken from its node. */
      leases: keyName('leases'),
      /** Hash: holder, U+0000, key → expiry time, or nothing; a space; `[seq,epoch,value]`. */
      tickets: keyName('tickets'),
      /** Sorted set: the fields of tickets by expiry time. */
      ticketExpiries: keyName('endings'),
      /**
       * Two hashes: idempotency key → first seq and number of entries. They rotate daily: one is written, while the other is only
       * read.
       */
      idempotencyKeys: [keyName('once-a'), keyName('once-b')] as const,
      /** Sets of leases, room U+0000 key; the name of the node follows. */
      nodeLeasesPrefix: `${base}held:`,
      /** Pub/sub channel. */
      channel: keyName('news'),
    };
  }

  /** Leases of a node in a partition: set of room, U+0000, key. */
  nodeLeases(partition: number, node: string): string {
    return `${this.#prefixOf(partition)}held:${node}`;
  }

  /** Hints where a holder has tickets: sorted set of room, U+0000, key, by the time of the hint. */
  ticketIndex(holder: string): { partition: number; key: string } {
    const partition = partitionOf(holder);
    return { partition, key: `${this.#prefixOf(partition)}places:${holder}` };
  }

  /** Keys that concern all rooms. */
  get globalKeys() {
    const base = this.#prefixOf(GLOBAL_PARTITION);
    return {
      partition: GLOBAL_PARTITION,
      /** Sorted set, by bytes: names of rooms. */
      rooms: `${base}rooms`,
      /** Sorted set: nodes by the time at which they count as gone. */
      nodeExpiries: `${base}nodes`,
      /** Sorted set: released leases, room U+0000 key, by expiry time. */
      leaseExpiries: `${base}due`,
      /** Sets of partitions in which a node has leases; the name of the node follows. */
      nodePartitionsPrefix: `${base}leased:`,
      /** The secret of the store. */
      secret: `${base}secret`,
      /** A channel without subscribers. */
      probeChannel: `${base}nobody`,
    };
  }

  #prefixOf(partition: number): string {
    return `${this.#prefix}:{${tags[partition]}}:`;
  }
}

export type RoomKeyNames = ReturnType<KeyNames['room']>;

const GLOBAL_PARTITION = 0;
const NUL = '\0';

/** Joins two names to one member of a set: names never contain U+0000. */
export const joinPair = (first: string, second: string): string => first + NUL + second;

export function splitPair(member: string): [string, string] {
  const at = member.indexOf(NUL);
  return [member.slice(0, at), member.slice(at + 1)];
}
