import type { Chat, MissedEntry } from '@engawa/client';
import { excerpt } from '../text/excerpt.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import type { ReplyTarget } from './reply-targets.ts';

/** Controls that JSON leaves as they are, what reorders a line, what nobody sees, and halves of characters. */
const UNSAFE_IN_JSON = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;

/** One line of JSON that does nothing to a terminal, and says the same to a parser. */
export const toJsonLine = (value: object): string => JSON.stringify(value).replace(UNSAFE_IN_JSON, escapeUnits);

const escapeUnits = (character: string): string =>
  character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');

/** A chat as a line of JSON has it, whether it comes from the history or as it is said. */
export function toChatRecord(
  chat: Chat,
  { room, epoch, replyTarget }: { room: string; epoch: string; replyTarget?: ReplyTarget | undefined },
): object {
  const { seq, id, at, username, message, replyTo, edited, deleted, reactions } = chat;
  const fields = { at, username, message, replyTo, replyToChat: replyTarget, edited, deleted, reactions };
  const record = { room, epoch, seq, id, kind: 'create:chat', ...fields };
  return JSON.parse(JSON.stringify(record)) as object;
}

/** Any other entry: all that it says. */
export const toEntryRecord = ({ roomId: room, ...entry }: MissedEntry): object => ({ room, ...entry });

export function formatChat({ at, username, message, edited, replyTo }: Chat, replyTarget?: ReplyTarget): string {
  const text = message === null ? '(deleted)' : sanitizeLine(message);
  const reply = replyTo === undefined ? '' : ` (to ${formatReplyTarget(replyTarget)})`;
  return `${formatTime(at)} ${sanitizeLine(username)}${reply}${edited === undefined ? '' : ' (edited)'}: ${text}`;
}

function formatReplyTarget(target: ReplyTarget | undefined): string {
  if (!target) return 'an earlier chat';
  return `${sanitizeLine(target.username)}, ${target.message === null ? 'deleted' : `“${excerpt(target.message)}”`}`;
}

/** What happened beside a chat; nothing of what nobody has to know. */
export function formatEntry(entry: MissedEntry): string | undefined {
  const what = describeEntry(entry);
  return what === undefined ? undefined : `${formatTime(entry.at)} * ${what}`;
}

function describeEntry(entry: MissedEntry): string | undefined {
  const who = sanitizeLine(entry.by);
  if (entry.erased) return undefined;
  switch (entry.kind) {
    case 'add:member':
      return `${who} joined`;
    case 'remove:member':
      return entry.reason === 'removed' ? `${who} removed ${sanitizeLine(entry.username)}` : `${sanitizeLine(entry.username)} left`;
    case 'update:chat':
      return `${who} edited ${entry.chatSeq}: ${sanitizeLine(entry.message)}`;
    case 'delete:chat':
      return `${who} deleted ${entry.chatSeq}`;
    case 'add:reaction':
      return `${who} reacted to ${entry.chatSeq}: ${sanitizeLine(entry.reaction)}`;
    case 'remove:reaction':
      return `${who} took back a reaction to ${entry.chatSeq}: ${sanitizeLine(entry.reaction)}`;
    case 'update:room':
      return entry.topic === undefined ? `${who} changed what is kept here` : `${who} set the topic: ${sanitizeLine(entry.topic)}`;
    default:
      return undefined;
  }
}

/** Local, to the second, and in the order of time. */
function formatTime(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return Number.isNaN(local.getTime()) ? '-' : local.toISOString().slice(0, 19).replace('T', ' ');
}
