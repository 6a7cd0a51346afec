import { partitionOf, tags } from './partitions.ts';

/**
 * Every name of a key or channel. All begin with the prefix and the tag of a partition; what somebody else chose (a room,
 * a node, a holder) comes last and is never a pattern. The rooms' own keys are the truth; the lobby's are hints of where to
 * look for it, because what is asked of all rooms cannot be written in one step with one of them.
 */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  room(room: string) {
    const partition = partitionOf(room);
    const base = this.#base(partition);
    const named = (kind: string) => `${base}${kind}:${room}`;
    return {
      partition,
      /** Hash: epoch, head, tail, at, tick, oldest, bytes, listedFrom, onceAt, onceIn. */
      room: named('room'),
      /** Hash: seq → `[id,prev,at,tick,by,author,kind,flags]`, a line feed, and the body; erased without those two. */
      log: named('log'),
      /** Bitmap: which entries from `listedFrom` on are listed. */
      listed: named('listed'),
      /** Hash: key → its seq, a space, and its value. */
      keys: named('keys'),
      /** Sorted set, by bytes: the family with its slash, U+0000, and the name, of every key. */
      order: named('order'),
      /** Hash: key → seq. */
      marks: named('marks'),
      /** Hash: key → the node, U+0000, and until when; nothing there while it is held. No node when it was set aside. */
      leases: named('leases'),
      /** Hash: holder, U+0000, key → until when, or nothing; a space; `[seq,epoch,value]`. */
      tickets: named('tickets'),
      /** Sorted set: the fields of tickets by when they run out. */
      endings: named('endings'),
      /** Two hashes: the name of an append → its first seq and how many. One is written for a day, while the other is only read. */
      onces: [named('once-a'), named('once-b')] as const,
      /** Sets of leases, room U+0000 key, by the node whose name follows. */
      held: `${base}held:`,
      /** Channel. */
      news: named('news'),
    };
  }

  /** Leases of a node in a partition: set of room, U+0000, key. */
  held(partition: number, node: string): string {
    return `${this.#base(partition)}held:${node}`;
  }

  /** Where a holder may have tickets: sorted set of room, U+0000, key, by when that was said. */
  places(holder: string): { partition: number; key: string } {
    const partition = partitionOf(holder);
    return { partition, key: `${this.#base(partition)}places:${holder}` };
  }

  /** What is asked of all rooms at once. */
  get lobby() {
    const base = this.#base(LOBBY);
    return {
      partition: LOBBY,
      /** Sorted set, by bytes: names of rooms. */
      rooms: `${base}rooms`,
      /** Sorted set: nodes by when they are gone. */
      nodes: `${base}nodes`,
      /** Sorted set: released leases, room U+0000 key, by when they run out. */
      due: `${base}due`,
      /** Sets of partitions in which a node has leases, by the node whose name follows. */
      leased: `${base}leased:`,
      /** Channel to which nobody listens. */
      nobody: `${base}nobody`,
    };
  }

  #base(partition: number): string {
    return `${this.#prefix}:{${tags[partition]}}:`;
  }
}

export type RoomKeys = ReturnType<Keys['room']>;

const LOBBY = 0;
const NUL = '\0';

/** Two names as one member of a set: no name holds U+0000. */
export const pair = (one: string, two: string): string => one + NUL + two;

export function unpair(member: string): [string, string] {
  const at = member.indexOf(NUL);
  return [member.slice(0, at), member.slice(at + 1)];
}
