import { ChatError, type CommandName, type EntryKind, type Payload, type Told } from '@engawa/protocol';
import type { Draft, Entry, Facts, Json, Store } from '../store/store.ts';
import { type ChatValue, chatKey, type MemberValue, memberFamily, memberKey, type Settings, settingsKey } from './keys.ts';
import type { Headroom } from './quotas.ts';

/** Who asks. */
export interface Caller {
  /** Opaque identity: the same for one client across its connections, and nobody else's. */
  author: string;
  /** The node that the caller is connected to. */
  node: string;
  /** A name that the caller's connection has in the room, where the command does not say who speaks. */
  username: string | undefined;
  /** Members from which on a room is large. */
  largeRoom: number;
  headroom: Headroom;
}

/** `lapsed`: a key whose lease must have run out, or nothing is kept. */
export type Decided = Omit<Draft, 'id'> & { lapsed?: string };

/**
 * How one command is decided. Pure: the same facts, command and caller give the same drafts. No drafts mean that
 * nothing has to change; a refusal is a thrown `ChatError`.
 */
export interface Rule<E extends CommandName> {
  /** What the decision rests on; it is taken again when one of the keys has moved, or the room has not fewer bytes than that. */
  rests(command: Payload<E>, caller: Caller): { keys: string[]; seqs?: number[]; counts?: string[]; bytesBelow?: number };
  /** Keys that it rests on, too, as the others say. */
  leadsTo?(facts: Facts, command: Payload<E>, caller: Caller): string[];
  decide(facts: Facts, command: Payload<E>, caller: Caller): Decided[];
  /**
   * Refuses what other rooms stand against, when there is something to append. The append does not rest on it: of two in
   * the same moment both may pass.
   */
  beforeAppend?(store: Store, command: Payload<E>, caller: Caller): Promise<void>;
}

type Effects = Pick<Draft, 'sets' | 'erases' | 'lease' | 'tickets' | 'listed' | 'quiet' | 'ends'>;

/** A draft of this kind, as the protocol has it. */
export function draft<E extends EntryKind>(kind: E, by: MemberValue, told: Told<E>, effects: Effects = {}): Decided {
  const said = Object.entries(told as Record<string, Json | undefined>).filter(([, value]) => value !== undefined);
  const body = Object.fromEntries(said) as Draft['body'];
  return { kind, by: by.username, author: by.author, body, ...effects };
}

const valueAt = <Value>(facts: Facts, key: string): Value | undefined => facts.keys.get(key)?.value as Value | undefined;

export function settingsOf(facts: Facts): Settings {
  const settings = valueAt<Settings>(facts, settingsKey);
  if (!settings) throw new ChatError('room_not_found');
  return settings;
}

export const memberNamed = (facts: Facts, username: string): MemberValue | undefined => valueAt(facts, memberKey(username));

/** Of facts that were asked with the counts of the families at the top. */
export const memberCount = (facts: Pick<Facts, 'counts'>): number => facts.counts.get('')?.get(memberFamily) ?? 0;

/** In a large room joins and leaves are kept quietly: to tell each of n members of each of n others is n² messages. */
export const isLarge = (facts: Facts, largeRoom: number): boolean => memberCount(facts) >= largeRoom;

export function mustExist(facts: Facts): void {
  if (facts.epoch === null) throw new ChatError('room_not_found');
}

/** What `speaker` rests on. */
export const speakerKeys = (username: string | undefined): string[] => (username === undefined ? [] : [memberKey(username)]);

/** The member under this name, when it is the caller who joined under it. */
export function speaker(facts: Facts, username: string | undefined, caller: Pick<Caller, 'author'>): MemberValue {
  mustExist(facts);
  const member = username === undefined ? undefined : memberNamed(facts, username);
  if (member?.author !== caller.author) throw new ChatError('not_a_member');
  return member;
}

export const isOwner = (facts: Facts, member: MemberValue): boolean => settingsOf(facts).owner === member.author;

export function mustBeOwner(facts: Facts, member: MemberValue): void {
  if (!isOwner(facts, member)) throw new ChatError('not_allowed');
}

/** The entry of a chat with what became of it. */
export function chatAt(facts: Facts, seq: number): { entry: Entry; became: ChatValue | undefined; becameBy: number | undefined } {
  const entry = facts.entries.get(seq);
  if (entry?.kind !== 'create:chat') throw new ChatError('chat_not_found');
  return { entry, became: valueAt(facts, chatKey(seq)), becameBy: facts.keys.get(chatKey(seq))?.seq };
}

export const isDeleted = (became: ChatValue | undefined): boolean => became !== undefined && 'deleted' in became;
