/** The keys of a room in the store, and the type of the value that each key stores. All key names are built here. */
import type { Retention } from '@engawa/protocol';

/** `settings`: set when the room is created. */
export interface RoomSettings {
  /** The author who created the room. */
  owner: string;
  topic: string;
  /** The retention that the owner chose. */
  retention?: Retention;
}

/** `member/<name>`: a member. The key has a lease of the node that the member is connected to. */
export interface MemberValue {
  /** As the member wrote it. */
  username: string;
  author: string;
  /** The `skeleton` keys that are removed with the member. */
  skeletons?: string[];
}

/** Value of the ticket of a member's key: the name that the author had in a room. Session recovery begins with it. */
export interface MembershipRecord {
  username: string;
  /** Removed by the owner: do not rejoin automatically. */
  removed?: true;
}

/** `skeleton/<form>`: a name in use in the room that has this form (see `confusables.ts`). */
export interface SkeletonValue {
  username: string;
  /** The author that the name is reserved for as long as the room exists: the owner. */
  reservedFor?: string;
}

/** `reader/<author>`: a present or former member; its mark is how far they have read. */
export interface ReaderValue {
  /** The name under which they last joined. */
  username: string;
}

/** `entry/<seq>/chat`: the current state of a chat, set by an edit or a deletion; absent if the chat was never changed. */
export type ChatValue = { message: string; replyTo?: number } | { deleted: true };

/** `entry/<seq>/reaction/<reaction>/<author>`: exists as long as the reaction does. Pages show the counts of these families. */
export const REACTION_VALUE = true;

/** `imported`: the progress of an import into this room (see `import-tutorial/`). */
export interface ImportedValue {
  /** The name of the source room. */
  from: string;
  /** How many of its chats were imported, oldest first. */
  chats: number;
}

/** Slashes separate the parts of a key. Only slashes and the escape character are escaped. */
const escapePart = (text: string): string => text.replace(/[%/]/g, encodeURIComponent);
const joinParts = (...parts: string[]): string => parts.map(escapePart).join('/');

/** Texts that are folded by case and spaces alone. */
const ASCII = /^[ -~]*$/;

/**
 * Folds a name. Names that people cannot tell apart by eye or by ear are one name: compatibility forms, case, invisible
 * characters and the number and width of spaces are ignored (Unicode NFKC, Default_Ignorable_Code_Point; to upper case and back,
 * as ß and ς need).
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
/** The part of a member's key after the family. */
export const memberKeyPart = (username: string): string => escapePart(foldName(username));
export const memberKey = (username: string): string => `${memberFamily}/${memberKeyPart(username)}`;
export const readerFamily = 'reader';
export const readerKey = (author: string): string => joinParts(readerFamily, author);
export const skeletonKey = (form: string): string => joinParts('skeleton', form);
/** Keys that are removed when their entry is trimmed. */
const entryKey = (seq: number, ...parts: string[]): string => joinParts('entry', String(seq), ...parts);
export const chatKey = (seq: number): string => entryKey(seq, 'chat');
export const reactionFamily = (seq: number): string => entryKey(seq, 'reaction');
export const reactionKey = (seq: number, reaction: string, author: string): string => entryKey(seq, 'reaction', reaction, author);
/** Decodes the name of a reaction family, as the counts return it. */
export const decodeReaction = (family: string): string => family.replace(/%2F|%25/g, decodeURIComponent);
