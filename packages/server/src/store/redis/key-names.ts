import { partitionOf, tags } from './partitions.ts';

/**
 * Every name of a key or channel. All begin with the prefix and the tag of a partition; what somebody else chose (a room,
 * a node, a holder) comes last and is never a pattern. The rooms' own keys are the truth; the lobby's are hints of where to
 * look for it, because what is asked of all rooms cannot be written in one step with one of them.
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
      /** Hash: epoch, head, tail, at, tick, oldest, bytes, listedFrom, onceAt, onceIn. */
      room: keyName('room'),
      /** Hash: seq → `[id,prev,at,tick,by,author,kind,flags]`, a line feed, and the body; erased without those two. */
      log: keyName('log'),
      /** Bitmap: which entries from `listedFrom` on are listed. */
      listed: keyName('listed'),
      /** Hash: key → its seq, a space, and its value. */
      keys: keyName('keys'),
      /** Sorted set, by bytes: the family with its slash, U+0000, and the name, of every key. */
      sortedKeys: keyName('order'),
      /** Hash: key → seq. */
      marks: keyName('marks'),
      /** Hash: key → the node, U+0000, and until when; nothing there while it is held. No node when it was set aside. */
      leases: keyName('leases'),
      /** Hash: holder, U+0000, key → until when, or nothing; a space; `[seq,epoch,value]`. */
      tickets: keyName('tickets'),
      /** Sorted set: the fields of tickets by when they run out. */
      ticketExpiries: keyName('endings'),
      /** Two hashes: the name of an append → its first seq and how many. One is written for a day, while the other is only read. */
      idempotencyKeys: [keyName('once-a'), keyName('once-b')] as const,
      /** Sets of leases, room U+0000 key, by the node whose name follows. */
      nodeLeasesPrefix: `${base}held:`,
      /** Channel. */
      channel: keyName('news'),
    };
  }

  /** Leases of a node in a partition: set of room, U+0000, key. */
  nodeLeases(partition: number, node: string): string {
    return `${this.#prefixOf(partition)}held:${node}`;
  }

  /** Where a holder may have tickets: sorted set of room, U+0000, key, by when that was said. */
  ticketIndex(holder: string): { partition: number; key: string } {
    const partition = partitionOf(holder);
    return { partition, key: `${this.#prefixOf(partition)}places:${holder}` };
  }

  /** What is asked of all rooms at once. */
  get globalKeys() {
    const base = this.#prefixOf(GLOBAL_PARTITION);
    return {
      partition: GLOBAL_PARTITION,
      /** Sorted set, by bytes: names of rooms. */
      rooms: `${base}rooms`,
      /** Sorted set: nodes by when they are gone. */
      nodeExpiries: `${base}nodes`,
      /** Sorted set: released leases, room U+0000 key, by when they run out. */
      leaseExpiries: `${base}due`,
      /** Sets of partitions in which a node has leases, by the node whose name follows. */
      nodePartitionsPrefix: `${base}leased:`,
      /** Channel to which nobody listens. */
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

/** Two names as one member of a set: no name holds U+0000. */
export const joinPair = (first: string, second: string): string => first + NUL + second;

export function splitPair(member: string): [string, string] {
  const at = member.indexOf(NUL);
  return [member.slice(0, at), member.slice(at + 1)];
}
