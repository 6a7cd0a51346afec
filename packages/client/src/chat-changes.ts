import type { Chat } from '@engawa/protocol';
import { type Entry, type EntryOf, isKind } from './entry.ts';

/** A chat, or what it will be once changes of one's own, which are on their way, are done. */
export type ChangingChat = Chat & { readonly pending?: true };

type Reactions = NonNullable<Chat['reactions']>;

/** The chat that an entry made; nothing when it is another entry, or says no text. */
export function chatOf(entry: Entry): Chat | undefined {
  if (!isKind(entry, 'create:chat')) return undefined;
  const { seq, id, at, username, message, clientId, replyTo, edited, deleted } = entry;
  if (typeof username !== 'string') return undefined;
  if (deleted || typeof message !== 'string') return deletedAt({ seq, id, at, username });
  const chat = { seq, id, at, username, message, ...(replyTo !== undefined && { replyTo }) };
  if (edited !== undefined) return { ...chat, edited };
  return { ...chat, ...(clientId !== undefined && { clientId }) };
}

/** The seq of the chat that an entry changes. */
export function changedSeq(entry: Entry): number | undefined {
  const { chatSeq } = entry as { chatSeq?: unknown };
  return typeof chatSeq === 'number' ? chatSeq : undefined;
}

/** The chat after an entry that changes it, as a page would show it. `me` is whose reactions are `mine`. */
export function changedBy(entry: Entry, chat: Chat, me: string): Chat {
  if (chat.deleted) return chat;
  if (isKind(entry, 'delete:chat')) return deletedAt(chat);
  if (isKind(entry, 'update:chat')) return edited(chat, entry);
  if (isKind(entry, 'add:reaction')) return reacted(chat, entry, 1, me);
  if (isKind(entry, 'remove:reaction')) return reacted(chat, entry, -1, me);
  return chat;
}

/** The chat as it will be once an own change is done. */
export function changing(chat: ChangingChat, { event, fields }: { event: string; fields: object }, me: string): ChangingChat {
  const { reaction } = fields as { reaction?: string };
  const isMine = chat.reactions?.some((each) => each.reaction === reaction && each.mine) === true;
  const isDone = event === 'add:reaction' ? isMine : event === 'remove:reaction' && !isMine;
  // No entry has replaced its text yet.
  const entry = { ...fields, kind: event, username: me, seq: chat.edited ?? chat.seq } as unknown as Entry;
  return isDone ? chat : { ...changedBy(entry, chat, me), pending: true };
}

/** A chat of a page, its reactions in the one order. */
export const arranged = (chat: Chat): Chat => (chat.reactions ? { ...chat, reactions: [...chat.reactions].sort(byReaction) } : chat);

const deletedAt = ({ seq, id, at, username }: Pick<Chat, 'seq' | 'id' | 'at' | 'username'>): Chat => ({
  seq,
  id,
  at,
  username,
  message: null,
  deleted: true,
});

/** An edit that was itself replaced says no text any more. */
function edited(chat: Chat, { seq, message }: { seq: number; message?: unknown }): Chat {
  if (typeof message !== 'string') return chat;
  // Pages tell no client id of a chat that was edited.
  const { clientId: _, ...rest } = chat;
  return { ...rest, message, edited: Math.max(seq, chat.edited ?? 0) };
}

function reacted(chat: Chat, { reaction, username }: EntryOf<'add:reaction' | 'remove:reaction'>, by: 1 | -1, me: string): Chat {
  if (typeof reaction !== 'string') return chat;
  const { reactions: all = [], ...rest } = chat;
  const before = all.find((each) => each.reaction === reaction);
  const count = (before?.count ?? 0) + by;
  const isMine = username === me ? by > 0 : before?.mine === true;
  const now: Reactions = count > 0 ? [{ reaction, count, ...(isMine && { mine: true as const }) }] : [];
  const reactions = [...all.filter((each) => each !== before), ...now].sort(byReaction);
  return reactions.length > 0 ? { ...rest, reactions } : rest;
}

const byReaction = (one: Reactions[number], other: Reactions[number]): number => (one.reaction < other.reaction ? -1 : 1);
