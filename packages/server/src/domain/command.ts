/** The interface of a command rule, and the checks that rules share. */
import { type BroadcastFields, ChatError, type CommandName, type EntryKind, type RequestPayload } from '@engawa/protocol';
import type { Draft, Entry, Json, RoomFacts, Store } from '../store/contract.ts';
import type { Headroom } from './quotas.ts';
import { type ChatValue, chatKey, type MemberValue, memberFamily, memberKey, type RoomSettings, settingsKey } from './room-keys.ts';

/** The client that sent a command or query, and what rules need to know about it. */
export interface Caller {
  /** Opaque identity: the same for one client across its connections, and unique to it. */
  author: string;
  /** The node that the caller is connected to. */
  node: string;
  /** A name that the caller's connection has in the room, for commands that do not name the member. */
  username: string | undefined;
  /** Rooms with at least this many members are large. */
  largeRoomThreshold: number;
  headroom: Headroom;
}

/** `requireExpiredLease`: the append fails unless the lease of this key has expired. */
export type DraftEntry = Omit<Draft, 'id'> & { requireExpiredLease?: string };

/**
 * How one command is decided. Pure: the same facts, command and caller give the same drafts. No drafts mean that nothing has to
 * change. A rule refuses by throwing a `ChatError`.
 */
export interface CommandRule<E extends CommandName> {
  /**
   * The facts that the decision depends on. If one of the keys changed before the append, or the room has `bytesBelow` bytes or
   * more, the rule decides again.
   */
  dependencies(command: RequestPayload<E>, caller: Caller): { keys: string[]; seqs?: number[]; counts?: string[]; bytesBelow?: number };
  /** More keys that the decision depends on, derived from the facts of the first ones. */
  derivedKeys?(facts: RoomFacts, command: RequestPayload<E>, caller: Caller): string[];
  decide(facts: RoomFacts, command: RequestPayload<E>, caller: Caller): DraftEntry[];
  /**
   * Runs before an append, and refuses it if other rooms forbid it. The append is not conditional on this check: of two
   * concurrent commands both may pass.
   */
  beforeAppend?(store: Store, command: RequestPayload<E>, caller: Caller): Promise<void>;
}

type EntryEffects = Pick<Draft, 'keyUpdates' | 'eraseSeqs' | 'lease' | 'tickets' | 'listed' | 'quiet' | 'endsRoom'>;

/** Builds a draft of this kind, with the fields that the protocol defines. */
export function draftEntry<E extends EntryKind>(
  kind: E,
  by: MemberValue,
  fields: BroadcastFields<E>,
  effects: EntryEffects = {},
): DraftEntry {
  const definedFields = Object.entries(fields as Record<string, Json | undefined>).filter(([, value]) => value !== undefined);
  const body = Object.fromEntries(definedFields) as Draft['body'];
  return { kind, by: by.username, author: by.author, body, ...effects };
}

const valueAt = <Value>(facts: RoomFacts, key: string): Value | undefined => facts.keys.get(key)?.value as Value | undefined;

export function requireSettings(facts: RoomFacts): RoomSettings {
  const settings = valueAt<RoomSettings>(facts, settingsKey);
  if (!settings) throw new ChatError('room_not_found');
  return settings;
}

export const findMember = (facts: RoomFacts, username: string): MemberValue | undefined => valueAt(facts, memberKey(username));

/** The facts must include the top-level counts (`counts: ['']`). */
export const memberCount = (facts: Pick<RoomFacts, 'counts'>): number => facts.counts.get('')?.get(memberFamily) ?? 0;

/** Joins and leaves in a large room are not broadcast: to send each of n joins to n members takes n² messages. */
export const isLargeRoom = (facts: RoomFacts, threshold: number): boolean => memberCount(facts) >= threshold;

export function requireRoom(facts: RoomFacts): void {
  if (facts.epoch === null) throw new ChatError('room_not_found');
}

/** The keys that `requireMember` reads. */
export const callerMemberKeys = (username: string | undefined): string[] => (username === undefined ? [] : [memberKey(username)]);

/** Returns the member under this name if the caller joined under it. */
export function requireMember(facts: RoomFacts, username: string | undefined, caller: Pick<Caller, 'author'>): MemberValue {
  requireRoom(facts);
  const member = username === undefined ? undefined : findMember(facts, username);
  if (member?.author !== caller.author) throw new ChatError('not_a_member');
  return member;
}

export const isOwner = (facts: RoomFacts, member: MemberValue): boolean => requireSettings(facts).owner === member.author;

/** Returns the entry of a chat with its current state. `changedBy` is the seq of the entry that last changed it. */
export function requireChat(facts: RoomFacts, seq: number): { entry: Entry; state: ChatValue | undefined; changedBy: number | undefined } {
  const entry = facts.entries.get(seq);
  if (entry?.kind !== 'create:chat') throw new ChatError('chat_not_found');
  return { entry, state: valueAt(facts, chatKey(seq)), changedBy: facts.keys.get(chatKey(seq))?.seq };
}

export const isDeleted = (state: ChatValue | undefined): boolean => state !== undefined && 'deleted' in state;
