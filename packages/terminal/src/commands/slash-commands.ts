// The slash commands of the chat client, for full-screen and line mode.
import type { Chat, FailedResult, OutgoingChat, Room } from '@engawa/client';
import type { Messages } from '../i18n/messages.ts';
import { findClosest } from '../text/did-you-mean.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import { type BellMode, isBellMode } from '../view-model/alerts.ts';
import { findEmoji } from '../view-model/emoji-shortcodes.ts';

/** What a command can use in both modes. */
export interface CommandContext {
  readonly messages: Messages;
  /** The current room. */
  readonly room: Room | undefined;
  info(text: string): void;
  warn(text: string): void;
  show(panel: 'help' | 'who' | 'rooms'): void | Promise<void>;
  /** Calls `deleteChat` once the user has confirmed the deletion of this chat. */
  confirmDeletion(chat: Chat, deleteChat: () => Promise<unknown>): Promise<void>;
  /** The selected chat, or else the newest one by these authors. `mine` are chats that the user may edit and delete. */
  targetChat(whose: 'mine' | 'others' | 'anyone'): Chat | undefined;
  /** A chat of the user that could not be sent: the selected one, or else the newest. */
  failedChat(): OutgoingChat | undefined;
  quit(): void;
}

/** What a command can use only in the full-screen client. */
export interface ScreenCommandContext extends CommandContext {
  join(roomId: string): void;
  leave(): Promise<void>;
  close(): void;
  compose(what: 'reply' | 'edit', chat: Chat): void;
  copy(chat: Chat): void;
  /** Opens the external editor with this text, or with the current input if it is empty. */
  openEditor(text: string): void;
  /** Mutes or unmutes the current room. */
  toggleMute(): void;
  /** Without an argument it shows the current setting. */
  showOrSetBell(bell: BellMode | undefined): void;
  search(query: string): void;
  markAllRead(): void;
}

type CompletionKind = 'command' | 'room' | 'name' | 'emoji' | 'bell';

interface CommandInfo {
  name: keyof Messages['commands'];
  /** Names of the command in other chat clients. */
  aliases?: readonly string[];
  /** The arguments after the name; `[…]` is optional. */
  args?: string;
  /** What the argument is completed with. */
  completes?: CompletionKind;
  /** Whether it needs a current room. */
  needsRoom?: true;
}

/** A command for the full-screen client, or for both modes if `inLineMode` is true. */
export type Command = CommandInfo &
  (
    | { inLineMode: true; run: (context: CommandContext, rest: string) => void | Promise<void> }
    | { inLineMode?: never; run: (context: ScreenCommandContext, rest: string) => void | Promise<void> }
  );

/** All slash commands: `/help`, completion and the man page are generated from this. */
export const commands: readonly Command[] = [
  { name: 'help', aliases: ['h', '?'], inLineMode: true, run: (context) => context.show('help') },
  { name: 'join', aliases: ['j'], args: 'ROOM', completes: 'room', run: join },
  { name: 'leave', aliases: ['part'], needsRoom: true, run: (context) => context.leave() },
  { name: 'close', run: (context) => context.close() },
  { name: 'rooms', aliases: ['list'], inLineMode: true, run: (context) => context.show('rooms') },
  { name: 'who', aliases: ['names'], inLineMode: true, needsRoom: true, run: (context) => context.show('who') },
  { name: 'topic', args: '[TEXT]', inLineMode: true, needsRoom: true, run: topic },
  { name: 'reply', args: '[TEXT]', inLineMode: true, needsRoom: true, run: reply },
  { name: 'edit', args: '[TEXT]', inLineMode: true, needsRoom: true, run: edit },
  { name: 'delete', inLineMode: true, needsRoom: true, run: remove },
  { name: 'react', args: 'EMOJI', completes: 'emoji', inLineMode: true, needsRoom: true, run: react },
  { name: 'unreact', args: 'EMOJI', completes: 'emoji', inLineMode: true, needsRoom: true, run: unreact },
  { name: 'copy', needsRoom: true, run: copy },
  { name: 'retry', inLineMode: true, needsRoom: true, run: retry },
  { name: 'discard', inLineMode: true, needsRoom: true, run: discard },
  {
    name: 'search',
    args: 'WORDS',
    needsRoom: true,
    run: (context, rest) => (rest === '' ? showUsage(context, 'search') : context.search(rest)),
  },
  { name: 'remove', aliases: ['kick'], args: 'NAME', completes: 'name', inLineMode: true, needsRoom: true, run: removeMember },
  { name: 'editor', args: '[TEXT]', needsRoom: true, run: (context, rest) => context.openEditor(rest) },
  { name: 'mute', run: (context) => context.toggleMute() },
  { name: 'bell', args: '[all|mentions|off]', completes: 'bell', run: bell },
  { name: 'read', run: (context) => context.markAllRead() },
  { name: 'quit', aliases: ['q', 'exit'], inLineMode: true, run: (context) => context.quit() },
];

/** The usage of a command, followed by its aliases. */
export const usageWithAliases = (command: Command): string[] => [
  commandUsage(command),
  ...(command.aliases ?? []).map((alias) => `/${alias}`),
];

export const commandUsage = ({ name, args }: Command): string => `/${name}${args === undefined ? '' : ` ${args}`}`;

export type ParsedInput =
  | { kind: 'chat'; text: string }
  | { kind: 'command'; command: Command; rest: string }
  /** Never sent as a chat: it was meant as a command. `suggestion` is the closest command, if one is close enough. */
  | { kind: 'unknown'; name: string; suggestion: string | undefined };

/** Largest edit distance of a suggestion. */
const MAX_TYPOS = 2;

/**
 * Tells commands from chats. A command begins with a slash; `//` begins a chat with a slash. Input methods produce a full-width
 * slash, which also occurs in kaomoji (`／人◕‿‿◕人＼`): it begins a command only if the command exists.
 */
export function parseInput(text: string, known: readonly Command[] = commands): ParsedInput {
  const [, slashes = '', name = '', rest = ''] = /^(\/\/|[/／])(\S*)\s*(.*)$/s.exec(text) ?? [];
  if (slashes === '') return { kind: 'chat', text };
  if (slashes === '//') return { kind: 'chat', text: text.slice(1) };
  const word = name.toLowerCase();
  const command = known.find((each) => each.name === word || each.aliases?.includes(word));
  if (command) return { kind: 'command', command, rest: rest.trim() };
  if (slashes === '／') return { kind: 'chat', text };
  return { kind: 'unknown', name, suggestion: suggestCommand(word, known) };
}

/** A suggestion shares at least one letter with the input. */
function suggestCommand(word: string, known: readonly Command[]): string | undefined {
  const { name, distance } = findClosest(
    word,
    known.map((each) => each.name),
  );
  return distance <= Math.min(MAX_TYPOS, word.length - 1) ? name : undefined;
}

function join(context: ScreenCommandContext, rest: string): void {
  const id = rest.replace(/^#/, '');
  if (id === '') void context.show('rooms');
  else context.join(id);
}

async function topic(context: CommandContext, rest: string): Promise<void> {
  const { room, messages } = context;
  if (!room) return;
  if (rest === '') context.info(messages.currentTopic(sanitizeLine(room.topic)));
  else await reportRefusal(context, room.setTopic(rest));
}

function reply(context: CommandContext, rest: string): void {
  const chat = context.targetChat('others');
  if (!chat) {
    context.warn(context.messages.nothingSelected);
    return;
  }
  if (rest !== '') void context.room?.send(rest, { replyTo: chat.seq });
  else if (canCompose(context)) context.compose('reply', chat);
  else showUsage(context, 'reply');
}

async function edit(context: CommandContext, rest: string): Promise<void> {
  const chat = context.targetChat('mine');
  if (!chat) return context.warn(context.messages.nothingToEdit);
  if (rest !== '') await reportRefusal(context, context.room?.edit(chat.seq, rest));
  else if (canCompose(context)) context.compose('edit', chat);
  else showUsage(context, 'edit');
}

async function remove(context: CommandContext): Promise<void> {
  const chat = context.targetChat('mine');
  if (!chat) return context.warn(context.messages.nothingToEdit);
  await context.confirmDeletion(chat, () => reportRefusal(context, context.room?.delete(chat.seq)));
}

async function react(context: CommandContext, rest: string): Promise<void> {
  const chat = context.targetChat('anyone');
  if (rest === '') return showUsage(context, 'react');
  if (!chat) return context.warn(context.messages.nothingSelected);
  await reportRefusal(context, context.room?.react(chat.seq, findEmoji(rest) ?? rest));
}

async function unreact(context: CommandContext, rest: string): Promise<void> {
  const chat = context.targetChat('anyone');
  if (!chat) return context.warn(context.messages.nothingSelected);
  const ownReaction = chat.reactions?.find(({ mine }) => mine)?.reaction;
  const emoji = rest === '' ? ownReaction : (findEmoji(rest) ?? rest);
  if (emoji === undefined) return showUsage(context, 'unreact');
  await reportRefusal(context, context.room?.unreact(chat.seq, emoji));
}

function copy(context: ScreenCommandContext): void {
  const chat = context.targetChat('anyone');
  if (chat) context.copy(chat);
  else context.warn(context.messages.nothingSelected);
}

function bell(context: ScreenCommandContext, rest: string): void {
  if (rest === '' || isBellMode(rest)) context.showOrSetBell(rest === '' ? undefined : rest);
  else showUsage(context, 'bell');
}

function retry(context: CommandContext): void {
  const failed = context.failedChat();
  if (failed) failed.retry();
  else context.warn(context.messages.nothingFailed);
}

function discard(context: CommandContext): void {
  const failed = context.failedChat();
  if (failed) failed.discard();
  else context.warn(context.messages.nothingFailed);
}

async function removeMember(context: CommandContext, rest: string): Promise<void> {
  const name = rest.replace(/^@/, '');
  if (name === '') return showUsage(context, 'remove');
  if (await reportRefusal(context, context.room?.remove(name))) context.info(context.messages.memberRemoved(sanitizeLine(name)));
}

const canCompose = (context: CommandContext): context is ScreenCommandContext => 'compose' in context;

function showUsage(context: CommandContext, name: Command['name']): void {
  const command = commands.find((each) => each.name === name);
  if (command) context.warn(context.messages.usage(commandUsage(command)));
}

async function reportRefusal(context: CommandContext, result: Promise<{ ok: true } | FailedResult> | undefined): Promise<boolean> {
  const answer = await result;
  if (answer && !answer.ok) context.warn(context.messages.actionRefused(sanitizeLine(context.messages.refusal(answer.error))));
  return answer?.ok === true;
}
