/** The chat reducer: chats from entries, with edits, deletions and reactions applied. */
import type { Chat } from '@engawa/protocol';
import { type Entry, type EntryOf, isKind } from './entry.ts';

/** A chat with the own pending changes applied. */
export type OptimisticChat = Chat & { readonly pending?: true };

type Reactions = NonNullable<Chat['reactions']>;

/** The chat that an entry creates. Undefined if it is not a chat. */
export function chatFromEntry(entry: Entry): Chat | undefined {
  if (!isKind(entry, 'create:chat')) return undefined;
  const { seq, id, at, username, message, clientId, replyTo, edited, deleted } = entry;
  if (typeof username !== 'string') return undefined;
  if (deleted || typeof message !== 'string') return deletedChat({ seq, id, at, username });
  const chat = { seq, id, at, username, message, ...(replyTo !== undefined && { replyTo }) };
  if (edited !== undefined) return { ...chat, edited };
  return { ...chat, ...(clientId !== undefined && { clientId }) };
}

/** The seq of the chat that an entry changes. */
export function targetSeqOf(entry: Entry): number | undefined {
  const { chatSeq } = entry as { chatSeq?: unknown };
  return typeof chatSeq === 'number' ? chatSeq : undefined;
}

/**
 * Applies an entry to the chat that it changes; the result equals the chat of a page. `me` is the member whose reactions are
 * `mine`.
 */
export function applyChange(entry: Entry, chat: Chat, me: string): Chat {
  if (chat.deleted) return chat;
  if (isKind(entry, 'delete:chat')) return deletedChat(chat);
  if (isKind(entry, 'update:chat')) return applyEdit(chat, entry);
  if (isKind(entry, 'add:reaction')) return applyReaction(chat, entry, 1, me);
  if (isKind(entry, 'remove:reaction')) return applyReaction(chat, entry, -1, me);
  return chat;
}

/** Applies an own pending change. */
export function applyOptimisticChange(
  chat: OptimisticChat,
  { event: kind, fields }: { event: string; fields: object },
  me: string,
): OptimisticChat {
  const { reaction } = fields as { reaction?: string };
  const isMine = chat.reactions?.some((each) => each.reaction === reaction && each.mine) === true;
  const isDone = kind === 'add:reaction' ? isMine : kind === 'remove:reaction' && !isMine;
  // `edited` must stay the same until the entry of the edit arrives.
  const entry = { ...fields, kind, username: me, seq: chat.edited ?? chat.seq } as unknown as Entry;
  return isDone ? chat : { ...applyChange(entry, chat, me), pending: true };
}

/** Pages and entries must give the same order of reactions. */
export const sortReactions = (chat: Chat): Chat => (chat.reactions ? { ...chat, reactions: [...chat.reactions].sort(byReaction) } : chat);

const deletedChat = ({ seq, id, at, username }: Pick<Chat, 'seq' | 'id' | 'at' | 'username'>): Chat => ({
  seq,
  id,
  at,
  username,
  message: null,
  deleted: true,
});

/** An edit has no text if a later edit replaced it. */
function applyEdit(chat: Chat, { seq, message }: { seq: number; message?: unknown }): Chat {
  if (typeof message !== 'string') return chat;
  // Chats of pages have no client id after an edit.
  const { clientId: _, ...rest } = chat;
  return { ...rest, message, edited: Math.max(seq, chat.edited ?? 0) };
}

function applyReaction(chat: Chat, { reaction, username }: EntryOf<'add:reaction' | 'remove:reaction'>, delta: 1 | -1, me: string): Chat {
  if (typeof reaction !== 'string') return chat;
  const { reactions: all = [], ...rest } = chat;
  const current = all.find((each) => each.reaction === reaction);
  const count = (current?.count ?? 0) + delta;
  const isMine = username === me ? delta > 0 : current?.mine === true;
  const updated: Reactions = count > 0 ? [{ reaction, count, ...(isMine && { mine: true as const }) }] : [];
  const reactions = [...all.filter((each) => each !== current), ...updated].sort(byReaction);
  return reactions.length > 0 ? { ...rest, reactions } : rest;
}

const byReaction = (one: Reactions[number], other: Reactions[number]): number => (one.reaction < other.reaction ? -1 : 1);
