import type { Chat, OutgoingChat, Refused, Room } from '@engawa/client';
import { closest } from '../nearest.ts';
import { safeLine } from '../text/safe.ts';
import type { Words } from '../words/words.ts';
import { type Bell, isBell } from './alerts.ts';
import { emojiOf } from './emoji.ts';

/** What a command may do and know of, on a screen or in lines. */
export interface Host {
  readonly words: Words;
  /** The room that is looked at. */
  readonly room: Room | undefined;
  say(text: string): void;
  complain(text: string): void;
  show(what: 'help' | 'who' | 'rooms'): void | Promise<void>;
  /** Acts once it is confirmed that this chat is to be deleted. */
  confirmDeletion(chat: Chat, act: () => Promise<unknown>): Promise<void>;
  /** The selected chat, or else the newest of these authors; `mine` are those that one may edit and delete. */
  target(whose: 'mine' | 'others' | 'anybody'): Chat | undefined;
  /** An own chat that was not sent: the selected one, or else the newest. */
  failed(): OutgoingChat | undefined;
  quit(): void;
}

/** What only a screen can. */
export interface ScreenHost extends Host {
  join(roomId: string): void;
  leave(): Promise<void>;
  close(): void;
  compose(what: 'reply' | 'edit', chat: Chat): void;
  copy(chat: Chat): void;
  /** What is typed there, or this text, in an editor of its own. */
  openEditor(text: string): void;
  /** The room that is looked at, or no more. */
  mute(): void;
  /** Without one it is told for what it rings. */
  bell(bell: Bell | undefined): void;
  search(words: string): void;
  readAll(): void;
}

type Completed = 'command' | 'room' | 'name' | 'emoji' | 'bell';

interface About {
  name: keyof Words['commands'];
  /** What people know it as from elsewhere. */
  aliases?: readonly string[];
  /** What follows the name: `[…]` may be left out. */
  args?: string;
  /** What is completed after it. */
  completes?: Completed;
  /** It is about the room that is looked at. */
  needsRoom?: true;
}

/** A command of the full-screen client alone, or of both: then `lines` is told, and it asks for no more than lines can. */
export type Command = About &
  (
    | { lines: true; run: (host: Host, rest: string) => void | Promise<void> }
    | { lines?: never; run: (host: ScreenHost, rest: string) => void | Promise<void> }
  );

/** All that can be typed beside chats: `/help`, completion and the page of the manual are made of it. */
export const commands: readonly Command[] = [
  { name: 'help', aliases: ['h', '?'], lines: true, run: (host) => host.show('help') },
  { name: 'join', aliases: ['j'], args: 'ROOM', completes: 'room', run: join },
  { name: 'leave', aliases: ['part'], needsRoom: true, run: (host) => host.leave() },
  { name: 'close', run: (host) => host.close() },
  { name: 'rooms', aliases: ['list'], lines: true, run: (host) => host.show('rooms') },
  { name: 'who', aliases: ['names'], lines: true, needsRoom: true, run: (host) => host.show('who') },
  { name: 'topic', args: '[TEXT]', lines: true, needsRoom: true, run: topic },
  { name: 'reply', args: '[TEXT]', lines: true, needsRoom: true, run: reply },
  { name: 'edit', args: '[TEXT]', lines: true, needsRoom: true, run: edit },
  { name: 'delete', lines: true, needsRoom: true, run: remove },
  { name: 'react', args: 'EMOJI', completes: 'emoji', lines: true, needsRoom: true, run: react },
  { name: 'unreact', args: 'EMOJI', completes: 'emoji', lines: true, needsRoom: true, run: unreact },
  { name: 'copy', needsRoom: true, run: copy },
  { name: 'retry', lines: true, needsRoom: true, run: retry },
  { name: 'discard', lines: true, needsRoom: true, run: discard },
  { name: 'search', args: 'WORDS', needsRoom: true, run: (host, rest) => (rest === '' ? usage(host, 'search') : host.search(rest)) },
  { name: 'remove', aliases: ['kick'], args: 'NAME', completes: 'name', lines: true, needsRoom: true, run: removeMember },
  { name: 'editor', args: '[TEXT]', needsRoom: true, run: (host, rest) => host.openEditor(rest) },
  { name: 'mute', run: (host) => host.mute() },
  { name: 'bell', args: '[all|mentions|off]', completes: 'bell', run: bell },
  { name: 'read', run: (host) => host.readAll() },
  { name: 'quit', aliases: ['q', 'exit'], lines: true, run: (host) => host.quit() },
];

/** All that it is called, with what follows the first. */
export const namesOf = (command: Command): string[] => [usageOf(command), ...(command.aliases ?? []).map((alias) => `/${alias}`)];

export const usageOf = ({ name, args }: Command): string => `/${name}${args === undefined ? '' : ` ${args}`}`;

export type Typed =
  | { kind: 'chat'; text: string }
  | { kind: 'command'; command: Command; rest: string }
  /** Never sent: it was not meant for others. `nearest` is what was probably meant, where anything is near. */
  | { kind: 'unknown'; name: string; nearest: string | undefined };

/** Letters that a slip of the finger gets wrong at most. */
const MOST_SLIPS = 2;

/**
 * What somebody typed: a command begins with a slash, and `//` is a slash that is said. Input methods leave a full-width
 * slash, which people also draw faces with: that one begins only a command that there is.
 */
export function read(text: string, known: readonly Command[] = commands): Typed {
  const [, slashes = '', name = '', rest = ''] = /^(\/\/|[/／])(\S*)\s*(.*)$/s.exec(text) ?? [];
  if (slashes === '') return { kind: 'chat', text };
  if (slashes === '//') return { kind: 'chat', text: text.slice(1) };
  const word = name.toLowerCase();
  const command = known.find((each) => each.name === word || each.aliases?.includes(word));
  if (command) return { kind: 'command', command, rest: rest.trim() };
  if (slashes === '／') return { kind: 'chat', text };
  return { kind: 'unknown', name, nearest: nearTo(word, known) };
}

/** Not for a word of which nothing would be left. */
function nearTo(word: string, known: readonly Command[]): string | undefined {
  const { name, distance } = closest(
    word,
    known.map((each) => each.name),
  );
  return distance <= Math.min(MOST_SLIPS, word.length - 1) ? name : undefined;
}

function join(host: ScreenHost, rest: string): void {
  const id = rest.replace(/^#/, '');
  if (id === '') void host.show('rooms');
  else host.join(id);
}

async function topic(host: Host, rest: string): Promise<void> {
  const { room, words } = host;
  if (!room) return;
  if (rest === '') host.say(words.topicIs(safeLine(room.topic)));
  else await settled(host, room.setTopic(rest));
}

function reply(host: Host, rest: string): void {
  const chat = host.target('others');
  if (!chat) {
    host.complain(host.words.nothingSelected);
    return;
  }
  if (rest !== '') void host.room?.send(rest, { replyTo: chat.seq });
  else if (composes(host)) host.compose('reply', chat);
  else usage(host, 'reply');
}

async function edit(host: Host, rest: string): Promise<void> {
  const chat = host.target('mine');
  if (!chat) return host.complain(host.words.nothingToEdit);
  if (rest !== '') await settled(host, host.room?.edit(chat.seq, rest));
  else if (composes(host)) host.compose('edit', chat);
  else usage(host, 'edit');
}

async function remove(host: Host): Promise<void> {
  const chat = host.target('mine');
  if (!chat) return host.complain(host.words.nothingToEdit);
  await host.confirmDeletion(chat, () => settled(host, host.room?.delete(chat.seq)));
}

async function react(host: Host, rest: string): Promise<void> {
  const chat = host.target('anybody');
  if (rest === '') return usage(host, 'react');
  if (!chat) return host.complain(host.words.nothingSelected);
  await settled(host, host.room?.react(chat.seq, emojiOf(rest) ?? rest));
}

async function unreact(host: Host, rest: string): Promise<void> {
  const chat = host.target('anybody');
  if (!chat) return host.complain(host.words.nothingSelected);
  const given = chat.reactions?.find(({ mine }) => mine)?.reaction;
  const emoji = rest === '' ? given : (emojiOf(rest) ?? rest);
  if (emoji === undefined) return usage(host, 'unreact');
  await settled(host, host.room?.unreact(chat.seq, emoji));
}

function copy(host: ScreenHost): void {
  const chat = host.target('anybody');
  if (chat) host.copy(chat);
  else host.complain(host.words.nothingSelected);
}

function bell(host: ScreenHost, rest: string): void {
  if (rest === '' || isBell(rest)) host.bell(rest === '' ? undefined : rest);
  else usage(host, 'bell');
}

function retry(host: Host): void {
  const failed = host.failed();
  if (failed) failed.retry();
  else host.complain(host.words.noFailed);
}

function discard(host: Host): void {
  const failed = host.failed();
  if (failed) failed.discard();
  else host.complain(host.words.noFailed);
}

async function removeMember(host: Host, rest: string): Promise<void> {
  const name = rest.replace(/^@/, '');
  if (name === '') return usage(host, 'remove');
  if (await settled(host, host.room?.remove(name))) host.say(host.words.removed(safeLine(name)));
}

const composes = (host: Host): host is ScreenHost => 'compose' in host;

function usage(host: Host, name: Command['name']): void {
  const command = commands.find((each) => each.name === name);
  if (command) host.complain(host.words.usage(usageOf(command)));
}

async function settled(host: Host, result: Promise<{ ok: true } | Refused> | undefined): Promise<boolean> {
  const answer = await result;
  if (answer && !answer.ok) host.complain(host.words.notDone(safeLine(host.words.refusal(answer.error))));
  return answer?.ok === true;
}
