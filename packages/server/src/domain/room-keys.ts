/** The keys of a room, and what each holds. Every key name is made here. */
import type { Retention } from '@engawa/protocol';

/** `settings`: set when the room is created. */
export interface RoomSettings {
  /** The author who created the room. */
  owner: string;
  topic: string;
  /** What the owner wants to be kept. */
  retention?: Retention;
}

/** `member/<name>`: a member, leased to the node that he is connected to. */
export interface MemberValue {
  /** As he typed it. */
  username: string;
  author: string;
  /** The `skeleton` keys that go with the member. */
  skeletons?: string[];
}

/** A ticket for a member's key, by which a client comes back after a drop: the name that its session had in a room. */
export interface MembershipRecord {
  username: string;
  /** By the owner: so they do not come back unless they ask to. */
  removed?: true;
}

/** `skeleton/<form>`: a name that is in use here, and looks like this (see `confusables.ts`). */
export interface SkeletonValue {
  username: string;
  /** The author that the name is reserved for, for as long as the room is there: its owner. */
  reservedFor?: string;
}

/** `reader/<author>`: somebody who is, or was, a member; its mark is how far they have read. */
export interface ReaderValue {
  /** As they last joined. */
  username: string;
}

/** `entry/<seq>/chat`: what became of a chat; absent while it stands as it was said. Set by the edit or the deletion. */
export type ChatValue = { message: string; replyTo?: number } | { deleted: true };

/** `entry/<seq>/reaction/<reaction>/<author>`: present while given; the counts of the families are what a page shows. */
export const REACTION_VALUE = true;

/** `imported`: how far an import into this room is (see `tutorial/`). */
export interface ImportedValue {
  /** The name of the room where it comes from. */
  from: string;
  /** How many of its chats were taken, the oldest first. */
  chats: number;
}

/** Slashes divide keys, so they and the escape itself are escaped; everything else stands as it is. */
const escapePart = (text: string): string => text.replace(/[%/]/g, encodeURIComponent);
const joinParts = (...parts: string[]): string => parts.map(escapePart).join('/');

/** Letters of which nothing but their case is folded. */
const ASCII = /^[ -~]*$/;

/**
 * Names that people cannot tell apart by eye or by ear are one name: compatibility forms, case, invisible characters and the
 * number and width of spaces do not count (Unicode NFKC, Default_Ignorable_Code_Point; to upper case and back, as ß and ς ask for).
 */
export function foldName(username: string): string {
  if (ASCII.test(username)) return username.toLowerCase().replace(/ {2,}/g, ' ');
  return username
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/\p{Zs}+/gu, ' ')
    .toLowerCase()
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC');
}

export const settingsKey = 'settings';
export const importedKey = 'imported';
export const memberFamily = 'member';
/** A member's name as the family has it. */
export const memberKeyPart = (username: string): string => escapePart(foldName(username));
export const memberKey = (username: string): string => `${memberFamily}/${memberKeyPart(username)}`;
export const readerFamily = 'reader';
export const readerKey = (author: string): string => joinParts(readerFamily, author);
export const skeletonKey = (form: string): string => joinParts('skeleton', form);
/** Keys that go with an entry when it is trimmed. */
const entryKey = (seq: number, ...parts: string[]): string => joinParts('entry', String(seq), ...parts);
export const chatKey = (seq: number): string => entryKey(seq, 'chat');
export const reactionFamily = (seq: number): string => entryKey(seq, 'reaction');
export const reactionKey = (seq: number, reaction: string, author: string): string => entryKey(seq, 'reaction', reaction, author);
/** The name of a family of reactions, as the counts have it. */
export const decodeReaction = (family: string): string => family.replace(/%2F|%25/g, decodeURIComponent);
