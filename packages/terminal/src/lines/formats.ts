import type { Chat, Missed } from '@engawa/client';
import { quoteOf } from '../text/quote.ts';
import { safeLine } from '../text/safe.ts';
import type { ReplyTarget } from './reply-targets.ts';

/** Controls that JSON leaves as they are, what reorders a line, what nobody sees, and halves of characters. */
const MISLEADING = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;

/** One line of JSON that does nothing to a terminal, and says the same to a parser. */
export const jsonLine = (value: object): string => JSON.stringify(value).replace(MISLEADING, escaped);

const escaped = (character: string): string =>
  character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');

/** A chat as a line of JSON has it, whether it comes from the history or as it is said. */
export function chatRecord(
  chat: Chat,
  { room, epoch, replyTarget }: { room: string; epoch: string; replyTarget?: ReplyTarget | undefined },
): object {
  const { seq, id, at, username, message, replyTo, edited, deleted, reactions } = chat;
  const said = { at, username, message, replyTo, replyToChat: replyTarget, edited, deleted, reactions };
  const record = { room, epoch, seq, id, kind: 'create:chat', ...said };
  return JSON.parse(JSON.stringify(record)) as object;
}

/** Any other entry: all that it says. */
export const entryRecord = ({ roomId: room, ...entry }: Missed): object => ({ room, ...entry });

export function chatLine({ at, username, message, edited, replyTo }: Chat, replyTarget?: ReplyTarget): string {
  const text = message === null ? '(deleted)' : safeLine(message);
  const reply = replyTo === undefined ? '' : ` (to ${toldOf(replyTarget)})`;
  return `${timeOf(at)} ${safeLine(username)}${reply}${edited === undefined ? '' : ' (edited)'}: ${text}`;
}

function toldOf(target: ReplyTarget | undefined): string {
  if (!target) return 'an earlier chat';
  return `${safeLine(target.username)}, ${target.message === null ? 'deleted' : `“${quoteOf(target.message)}”`}`;
}

/** What happened beside a chat; nothing of what nobody has to know. */
export function entryLine(entry: Missed): string | undefined {
  const what = whatOf(entry);
  return what === undefined ? undefined : `${timeOf(entry.at)} * ${what}`;
}

function whatOf(entry: Missed): string | undefined {
  const who = safeLine(entry.by);
  if (entry.erased) return undefined;
  switch (entry.kind) {
    case 'add:member':
      return `${who} joined`;
    case 'remove:member':
      return entry.reason === 'removed' ? `${who} removed ${safeLine(entry.username)}` : `${safeLine(entry.username)} left`;
    case 'update:chat':
      return `${who} edited ${entry.chatSeq}: ${safeLine(entry.message)}`;
    case 'delete:chat':
      return `${who} deleted ${entry.chatSeq}`;
    case 'add:reaction':
      return `${who} reacted to ${entry.chatSeq}: ${safeLine(entry.reaction)}`;
    case 'remove:reaction':
      return `${who} took back a reaction to ${entry.chatSeq}: ${safeLine(entry.reaction)}`;
    case 'update:room':
      return entry.topic === undefined ? `${who} changed what is kept here` : `${who} set the topic: ${safeLine(entry.topic)}`;
    default:
      return undefined;
  }
}

/** Local, to the second, and in the order of time. */
function timeOf(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return Number.isNaN(local.getTime()) ? '-' : local.toISOString().slice(0, 19).replace('T', ' ');
}
