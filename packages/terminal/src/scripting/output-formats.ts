// Output formats of the scripting commands: JSON lines and plain text lines.
import type { Chat, MissedEntry } from '@engawa/client';
import { excerpt } from '../text/excerpt.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import type { ReplyTarget } from './reply-targets.ts';

/** Characters that JSON does not escape: control, bidirectional and invisible characters, and lone surrogates. */
const UNSAFE_IN_JSON = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;

/** JSON on one line that is safe on a terminal and equal for a parser. */
export const toJsonLine = (value: object): string => JSON.stringify(value).replace(UNSAFE_IN_JSON, escapeUnits);

const escapeUnits = (character: string): string =>
  character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');

/** The JSON object of a chat; the same for chats of the history and for new ones. */
export function toChatRecord(
  chat: Chat,
  { room, epoch, replyTarget }: { room: string; epoch: string; replyTarget?: ReplyTarget | undefined },
): object {
  const { seq, id, at, username, message, replyTo, edited, deleted, reactions } = chat;
  const fields = { at, username, message, replyTo, replyToChat: replyTarget, edited, deleted, reactions };
  const record = { room, epoch, seq, id, kind: 'create:chat', ...fields };
  return JSON.parse(JSON.stringify(record)) as object;
}

/** The JSON object of any other entry: all its fields. */
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

/** A text line for an entry other than a chat; undefined for kinds that are not printed. */
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
      return entry.topic === undefined ? `${who} changed the retention of the room` : `${who} set the topic: ${sanitizeLine(entry.topic)}`;
    default:
      return undefined;
  }
}

/** Local time in seconds; sorts by time. */
function formatTime(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return Number.isNaN(local.getTime()) ? '-' : local.toISOString().slice(0, 19).replace('T', ' ');
}
