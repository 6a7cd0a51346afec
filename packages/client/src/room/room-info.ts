/** Room info: topic, retention, role and member counts, kept up to date by entries. */
import type { ResponsePayload, Retention, ServerNotice } from '@engawa/protocol';
import { type Entry, isKind } from '../timeline/entry.ts';

const MAX_RECENT_ENTRIES = 100;

/** What a join returns about the room. */
export type Membership = Pick<
  ResponsePayload<'add:member'>,
  'role' | 'topic' | 'retention' | 'members' | 'online' | 'read' | 'unread' | 'mentions' | 'epoch' | 'asOf'
>;

/** The numbers of members, as of an entry. */
export type MemberCounts = Pick<ServerNotice<'members:changed'>, 'epoch' | 'asOf' | 'members' | 'online'>;

/** Everything about a room except its chats: the answer to the join, plus the entries since. */
export class RoomInfo {
  topic = '';
  retention: Retention = {};
  members = 0;
  online = 0;
  role: 'owner' | 'member' = 'member';
  #asOf: { epoch: string; seq: number } | undefined;
  /** Joins and leaves up to this entry are counted. */
  #membersAsOf = 0;
  /** An entry can arrive before an answer that does not include it yet: entries are applied again after the answer. */
  #recentEntries: Entry[] = [];

  onJoin({ topic, retention, members, online, role, epoch, asOf }: Membership): void {
    Object.assign(this, { topic, retention, members, online, role });
    this.#asOf = { epoch, seq: asOf };
    this.#membersAsOf = asOf;
    for (const entry of this.#recentEntries) this.#apply(entry);
  }

  /** The member counts of a large room. They may be older than the current ones. */
  onMemberCounts({ epoch, asOf, members, online }: MemberCounts): void {
    this.online = online;
    if (epoch !== this.#asOf?.epoch || asOf < this.#membersAsOf) return;
    this.#membersAsOf = asOf;
    this.members = members;
    for (const entry of this.#recentEntries) this.#countMember(entry);
  }

  /** The entries so far belong to another log. */
  reset(): void {
    this.#recentEntries = [];
  }

  onEntry(entry: Entry): void {
    if (!isKind(entry, 'add:member') && !isKind(entry, 'remove:member') && !isKind(entry, 'update:room')) return;
    this.#recentEntries = [...this.#recentEntries, entry].slice(-MAX_RECENT_ENTRIES);
    this.#apply(entry);
  }

  #apply(entry: Entry): void {
    this.#countMember(entry);
    if (entry.epoch !== this.#asOf?.epoch || entry.seq <= this.#asOf.seq || !isKind(entry, 'update:room')) return;
    if (typeof entry.topic === 'string') this.topic = entry.topic;
    if (typeof entry.retention === 'object') this.retention = entry.retention;
  }

  #countMember(entry: Entry): void {
    if (entry.epoch !== this.#asOf?.epoch || entry.seq <= this.#membersAsOf) return;
    if (isKind(entry, 'add:member')) this.members += 1;
    if (isKind(entry, 'remove:member')) this.members -= 1;
  }
}
