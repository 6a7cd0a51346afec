import { type BroadcastFields, ChatError, type CommandName, type EntryKind, type RequestPayload } from '@engawa/protocol';
import type { Draft, Entry, Json, RoomFacts, Store } from '../store/contract.ts';
import type { Headroom } from './quotas.ts';
import { type ChatValue, chatKey, type MemberValue, memberFamily, memberKey, type RoomSettings, settingsKey } from './room-keys.ts';

/** Who asks. */
export interface Caller {
  /** Opaque identity: the same for one client across its connections, and nobody else's. */
  author: string;
  /** The node that the caller is connected to. */
  node: string;
  /** A name that the caller's connection has in the room, where the command does not say who speaks. */
  username: string | undefined;
  /** Members from which on a room is large. */
  largeRoomThreshold: number;
  headroom: Headroom;
}

/** `lapsed`: a key whose lease must have run out, or nothing is kept. */
export type DraftEntry = Omit<Draft, 'id'> & { requireExpiredLease?: string };

/**
 * How one command is decided. Pure: the same facts, command and caller give the same drafts. No drafts mean that
 * nothing has to change; a refusal is a thrown `ChatError`.
 */
export interface CommandRule<E extends CommandName> {
  /** What the decision rests on; it is taken again when one of the keys has moved, or the room has not fewer bytes than that. */
  dependencies(command: RequestPayload<E>, caller: Caller): { keys: string[]; seqs?: number[]; counts?: string[]; bytesBelow?: number };
  /** Keys that it rests on, too, as the others say. */
  derivedKeys?(facts: RoomFacts, command: RequestPayload<E>, caller: Caller): string[];
  decide(facts: RoomFacts, command: RequestPayload<E>, caller: Caller): DraftEntry[];
  /**
   * Refuses what other rooms stand against, when there is something to append. The append does not rest on it: of two in
   * the same moment both may pass.
   */
  beforeAppend?(store: Store, command: RequestPayload<E>, caller: Caller): Promise<void>;
}

type EntryEffects = Pick<Draft, 'keyUpdates' | 'eraseSeqs' | 'lease' | 'tickets' | 'listed' | 'quiet' | 'endsRoom'>;

/** A draft of this kind, as the protocol has it. */
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

/** Of facts that were asked with the counts of the families at the top. */
export const memberCount = (facts: Pick<RoomFacts, 'counts'>): number => facts.counts.get('')?.get(memberFamily) ?? 0;

/** In a large room joins and leaves are kept quietly: to tell each of n members of each of n others is n² messages. */
export const isLargeRoom = (facts: RoomFacts, threshold: number): boolean => memberCount(facts) >= threshold;

export function requireRoom(facts: RoomFacts): void {
  if (facts.epoch === null) throw new ChatError('room_not_found');
}

/** What `speaker` rests on. */
export const callerMemberKeys = (username: string | undefined): string[] => (username === undefined ? [] : [memberKey(username)]);

/** The member under this name, when it is the caller who joined under it. */
export function requireMember(facts: RoomFacts, username: string | undefined, caller: Pick<Caller, 'author'>): MemberValue {
  requireRoom(facts);
  const member = username === undefined ? undefined : findMember(facts, username);
  if (member?.author !== caller.author) throw new ChatError('not_a_member');
  return member;
}

export const isOwner = (facts: RoomFacts, member: MemberValue): boolean => requireSettings(facts).owner === member.author;

export function requireOwner(facts: RoomFacts, member: MemberValue): void {
  if (!isOwner(facts, member)) throw new ChatError('not_allowed');
}

/** The entry of a chat with what became of it. */
export function requireChat(facts: RoomFacts, seq: number): { entry: Entry; state: ChatValue | undefined; changedBy: number | undefined } {
  const entry = facts.entries.get(seq);
  if (entry?.kind !== 'create:chat') throw new ChatError('chat_not_found');
  return { entry, state: valueAt(facts, chatKey(seq)), changedBy: facts.keys.get(chatKey(seq))?.seq };
}

export const isDeleted = (state: ChatValue | undefined): boolean => state !== undefined && 'deleted' in state;
