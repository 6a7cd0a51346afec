import type { Notice, Reply, Retention } from '@engawa/protocol';
import { type Entry, isKind } from './entry.ts';

const RECENT = 100;

/** What a room says of itself to a member. */
export type Membership = Pick<
  Reply<'add:member'>,
  'role' | 'topic' | 'retention' | 'members' | 'online' | 'read' | 'unread' | 'mentions' | 'epoch' | 'asOf'
>;

/** How many there are, as of an entry. */
export type Counts = Pick<Notice<'update:members'>, 'epoch' | 'asOf' | 'members' | 'online'>;

/** What a room is beside its chats, as of what it said of itself and what was told since. */
export class Facts {
  topic = '';
  retention: Retention = {};
  members = 0;
  online = 0;
  role: 'owner' | 'member' = 'member';
  #asOf: { epoch: string; seq: number } | undefined;
  /** Joins and leaves up to this entry are counted. */
  #countedTo = 0;
  /** Entries may be told before the answer that does not have them yet. */
  #recent: Entry[] = [];

  joined({ topic, retention, members, online, role, epoch, asOf }: Membership): void {
    Object.assign(this, { topic, retention, members, online, role });
    this.#asOf = { epoch, seq: asOf };
    this.#countedTo = asOf;
    for (const entry of this.#recent) this.#apply(entry);
  }

  /** What a large room says of its members; it may be older than what is known. */
  counted({ epoch, asOf, members, online }: Counts): void {
    this.online = online;
    if (epoch !== this.#asOf?.epoch || asOf < this.#countedTo) return;
    this.#countedTo = asOf;
    this.members = members;
    for (const entry of this.#recent) this.#count(entry);
  }

  /** What was told belongs to another log. */
  reset(): void {
    this.#recent = [];
  }

  told(entry: Entry): void {
    if (!isKind(entry, 'add:member') && !isKind(entry, 'remove:member') && !isKind(entry, 'update:room')) return;
    this.#recent = [...this.#recent, entry].slice(-RECENT);
    this.#apply(entry);
  }

  #apply(entry: Entry): void {
    this.#count(entry);
    if (entry.epoch !== this.#asOf?.epoch || entry.seq <= this.#asOf.seq || !isKind(entry, 'update:room')) return;
    if (typeof entry.topic === 'string') this.topic = entry.topic;
    if (typeof entry.retention === 'object') this.retention = entry.retention;
  }

  #count(entry: Entry): void {
    if (entry.epoch !== this.#asOf?.epoch || entry.seq <= this.#countedTo) return;
    if (isKind(entry, 'add:member')) this.members += 1;
    if (isKind(entry, 'remove:member')) this.members -= 1;
  }
}
