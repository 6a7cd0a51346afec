// Line mode of `engawa chat`: chatting in plain lines, for pipes and screen readers.
import { createInterface, type Interface } from 'node:readline';
import { isConfirmed, toSystemNote } from '@engawa/chat-view';
import type { Chat, Client, MissedEntry, OutgoingChat, Room, RoomEnding, TimelineChat } from '@engawa/client';
import type { ProcessIO } from '../command-line/process-io.ts';
import { warn } from '../command-line/warn.ts';
import { type Command, type CommandContext, commands, parseInput, usageWithAliases } from '../commands/slash-commands.ts';
import type { Messages } from '../i18n/messages.ts';
import type { Profile } from '../profile/profile.ts';
import { onPipeReaderClosed } from '../scripting/closed-pipe.ts';
import { findReplyTarget, type ReplyTarget, ReplyTargets } from '../scripting/reply-targets.ts';
import { excerpt } from '../text/excerpt.ts';
import { codePointLength } from '../text/length.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import { splitIntoChats } from '../view-model/split-long-text.ts';

interface LineOutput {
  messages: Messages;
  print: (line: string) => void;
  /** Prints the reason and ends with exit code 1. */
  fail: (reason: string) => void;
}

export interface LineModeOptions {
  room: string;
  profile: Pick<Profile, 'server' | 'username' | 'isOnlyProcess'>;
  messages: Messages;
  client: Client;
}

type LineCommand = Extract<Command, { inLineMode: true }>;

const HISTORY_CHAT_COUNT = 20;
/** Less than the capacity of an outbox, whatever the line lengths: so a pipe waits instead of having lines refused. */
const MAX_IN_FLIGHT_LINES = 40;
const CONNECT_NOTICE_DELAY_MS = 1_000;
const LEAVE_TIMEOUT_MS = 5_000;
const MAX_LISTED_ROOMS = 100;

/** Commands that need no screen. */
const lineCommands = commands.filter((command): command is LineCommand => command.inLineMode === true);

/** Runs line mode until the user leaves the room or the input ends. Resolves with the exit code. */
export async function runLineMode(
  { room, profile, messages, client }: LineModeOptions,
  { stdin, stdout, stderr }: ProcessIO,
): Promise<number> {
  const lines = createInterface({ input: stdin, ...(stdin.isTTY && { output: stdout, prompt: '> ' }) });
  stdout.on('error', () => lines.close());
  onPipeReaderClosed(stdout, () => lines.close());
  let exitCode = 0;
  const output: LineOutput = {
    messages,
    print: createPrinter(lines, stdout, Boolean(stdin.isTTY)),
    fail(reason) {
      if (exitCode === 0) warn(stderr, reason);
      exitCode = 1;
      void client.close();
      lines.close();
    },
  };
  const joining = joinRoom(client, { ...profile, room }, output);
  await processInput(lines, joining, { client, output });
  lines.close();
  await leaveRoom(client, await joining, profile);
  return exitCode;
}

/** Joins or creates the room and prints its chats and events. Undefined if that fails; the reason is printed. */
async function joinRoom(
  client: Client,
  { server, room: roomId, username }: { server: string; room: string; username: string },
  output: LineOutput,
): Promise<Room | undefined> {
  const { print, fail, messages } = output;
  let isDisconnected = false;
  let connectionError = '';
  const printedErrors = new Set<string>();
  const onConnectionLost = (reason: string) => {
    if (!isDisconnected) print(`* ${messages.retryingConnection(server, sanitizeLine(reason))}`);
    isDisconnected = true;
    printConnectionError();
  };
  const printConnectionError = () => {
    if (connectionError !== '') print(`* ${connectionError}`);
    connectionError = '';
  };
  const noticeTimer = setTimeout(() => client.state === 'connecting' && onConnectionLost(messages.noConnection), CONNECT_NOTICE_DELAY_MS);
  client.on('state', (state) => state === 'reconnecting' && onConnectionLost(messages.noConnection));
  client.on('error', (error) => {
    if (!error.retryable) return fail(error.address === undefined ? error.message : messages.connectionError(error));
    if (error.address === undefined) return onConnectionLost(error.message);
    const text = sanitizeLine(messages.connectionError(error));
    // Print each reason once, and the first one only after the line that says the connection was lost.
    if (!printedErrors.has(text)) connectionError = text;
    printedErrors.add(text);
    if (isDisconnected || client.state === 'online') printConnectionError();
  });
  try {
    const room = await client.join(roomId, { username, create: true });
    isDisconnected = false;
    printRoom(room, output);
    room.on('state', (state) => {
      if (isDisconnected && state === 'live') print(formatHeading(room, messages));
      isDisconnected &&= state !== 'live';
    });
    return room;
  } catch (error) {
    fail((error as Error).message);
    return undefined;
  } finally {
    clearTimeout(noticeTimer);
  }
}

function printRoom(room: Room, { print, fail, messages }: LineOutput): void {
  const targets = new ReplyTargets();
  let lastPrint = Promise.resolve();
  // Keep the order, although the target of a reply may have to be loaded first.
  const printChat = (chat: Chat) => {
    const line = formatChat(chat, { messages, target: findReplyTarget(chat, { room, epoch: room.position.epoch, targets }) });
    targets.add(chat, room.position.epoch);
    lastPrint = lastPrint.then(async () => print(await line));
  };
  const showNewest = () => {
    for (const chat of room.timeline.chats.filter(isConfirmed).slice(-HISTORY_CHAT_COUNT)) printChat(chat);
  };
  const printNote = (text: string) => {
    lastPrint = lastPrint.then(() => print(`* ${text}`));
  };
  print(formatHeading(room, messages));
  showNewest();
  room.on('chat', printChat);
  room.on('entry', (entry) => {
    targets.invalidate(entry);
    for (const text of describeEntry(entry, room.username, messages)) printNote(text);
  });
  room.on('reset', () => {
    printNote(messages.historyResetLine);
    showNewest();
  });
  room.on('ended', (ending) => {
    const reason = endReason(ending, messages);
    if (reason !== undefined) fail(reason);
  });
}

/** Resolves when the input has ended and the server has acknowledged or refused every chat. */
async function processInput(
  lines: Interface,
  joining: Promise<Room | undefined>,
  { client, output }: { client: Client; output: LineOutput },
): Promise<void> {
  const inFlight: Promise<void>[] = [];
  const state: LineState = { isQuitting: false, pendingDeletionSeq: undefined };
  for await (const line of lines) {
    const room = await joining;
    if (!room || room.ending) break;
    inFlight.push(handleLine(line, new LineCommandContext(room, { client, output, state })));
    if (state.isQuitting) break;
    if (inFlight.length > MAX_IN_FLIGHT_LINES) await inFlight.shift();
  }
  await Promise.all(inFlight);
}

/** State shared by all lines of the input. */
interface LineState {
  isQuitting: boolean;
  /** The chat that the next `/delete` deletes; a first `/delete` only asks for confirmation. */
  pendingDeletionSeq: number | undefined;
}

async function handleLine(line: string, context: LineCommandContext): Promise<void> {
  const input = parseInput(line, lineCommands);
  if (input.kind !== 'command' || input.command.name !== 'delete') context.cancelDeletion();
  if (input.kind === 'command') await (input.command as LineCommand).run(context, input.rest);
  else if (input.kind === 'chat') await sendText(input.text, context);
  else context.warn(context.messages.unknownCommand(sanitizeLine(input.name), input.suggestion));
}

async function sendText(text: string, { room, messages, info }: LineCommandContext): Promise<void> {
  const chats = splitIntoChats(text);
  if (chats.length > 1) info(messages.splitLine(codePointLength(text), chats.length));
  await Promise.all(
    chats.map(async (chat) => {
      const result = await room.send(chat).settled;
      if (!result.ok) info(messages.notSentLine(sanitizeLine(messages.refusal(result.error)), excerpt(chat)));
    }),
  );
}

/** What slash commands do in line mode. */
class LineCommandContext implements CommandContext {
  readonly room: Room;
  readonly messages: Messages;
  readonly #state: LineState;
  readonly #client: Client;
  readonly #print: LineOutput['print'];

  constructor(room: Room, { client, output, state }: { client: Client; output: LineOutput; state: LineState }) {
    this.room = room;
    this.messages = output.messages;
    this.#state = state;
    this.#client = client;
    this.#print = output.print;
  }

  readonly info = (text: string): void => this.#print(`* ${text}`);
  readonly warn = this.info;

  async show(what: 'help' | 'who' | 'rooms'): Promise<void> {
    if (what === 'help') this.#printHelp();
    else if (what === 'who') await this.#printMembers();
    else await this.#printRooms();
  }

  quit(): void {
    this.#state.isQuitting = true;
  }

  async confirmDeletion({ seq, message }: Chat, deleteChat: () => Promise<unknown>): Promise<void> {
    const isConfirmed = this.#state.pendingDeletionSeq === seq;
    this.#state.pendingDeletionSeq = isConfirmed ? undefined : seq;
    if (isConfirmed) await deleteChat();
    else this.info(this.messages.confirmDeletionLine(excerpt(message ?? '')));
  }

  cancelDeletion(): void {
    this.#state.pendingDeletionSeq = undefined;
  }

  targetChat(whose: 'mine' | 'others' | 'anyone'): Chat | undefined {
    const isMatch = ({ username }: TimelineChat) => whose === 'anyone' || (username === this.room.username) === (whose === 'mine');
    const found = this.room.timeline.chats.findLast((chat) => isConfirmed(chat) && !chat.deleted && isMatch(chat));
    return found && isConfirmed(found) ? found : undefined;
  }

  failedChat(): OutgoingChat | undefined {
    const found = this.room.timeline.chats.findLast(({ state }) => state === 'failed');
    return found?.state === 'failed' ? found.outgoing : undefined;
  }

  #printHelp(): void {
    const { messages } = this;
    for (const command of lineCommands)
      this.info(
        `${usageWithAliases(command).join(', ')}  ${command.name === 'quit' ? messages.commands.quitLineMode : messages.commands[command.name]}`,
      );
  }

  async #printMembers(): Promise<void> {
    const answer = await this.room.listMembers({ limit: 500 });
    if (!answer.ok) return this.info(sanitizeLine(this.messages.refusal(answer.error)));
    const names = answer.members.map(({ username }) => sanitizeLine(username)).join(', ');
    this.info(this.messages.memberList(answer.count, names, answer.hasMore));
  }

  async #printRooms(): Promise<void> {
    const answer = await this.#client.listRooms({ limit: MAX_LISTED_ROOMS });
    if (!answer.ok) return this.info(sanitizeLine(this.messages.refusal(answer.error)));
    for (const { roomId, members, topic } of answer.rooms)
      this.info(`#${sanitizeLine(roomId)}  ${this.messages.members(members)}  ${sanitizeLine(topic)}`);
    if (answer.hasMore) this.info(this.messages.andMore);
  }
}

/** Leaves the room unless another process of the profile is in it. Without a connection, the lease on the name expires. */
async function leaveRoom(client: Client, room: Room | undefined, profile: Pick<Profile, 'isOnlyProcess'>): Promise<void> {
  const timer = setTimeout(() => void client.close(), LEAVE_TIMEOUT_MS);
  if (client.state === 'online' && room && profile.isOnlyProcess(room.id)) await room.leave();
  clearTimeout(timer);
  await client.close();
}

/** On a terminal, prints above the line that the user is typing. */
function createPrinter(lines: Interface, stdout: NodeJS.WriteStream, isTerminal: boolean): (line: string) => void {
  if (!isTerminal) return (line) => void stdout.write(`${line}\n`);
  return (line) => {
    stdout.write(`\r\u001b[K${line}\n`);
    lines.prompt(true);
  };
}

const formatHeading = ({ id, topic, members }: Room, messages: Messages): string =>
  `* ${messages.heading(sanitizeLine(id), sanitizeLine(topic), members)}`;

async function formatChat(
  { at, username, message, edited, replyTo }: Chat,
  { messages, target }: { messages: Messages; target: Promise<ReplyTarget | undefined> },
): Promise<string> {
  const text = message === null ? messages.deleted : sanitizeLine(message);
  const reply = replyTo === undefined ? '' : ` ${formatReply(messages, await target)}`;
  return `${messages.clock(at)} ${sanitizeLine(username)}${reply}${edited === undefined ? '' : ` ${messages.edited}`}: ${text}`;
}

function formatReply(messages: Messages, target: ReplyTarget | undefined): string {
  if (!target) return messages.replyLine(messages.unknownChat, undefined);
  return messages.replyLine(sanitizeLine(target.username), target.message === null ? messages.deleted : excerpt(target.message));
}

/** Own joins and leaves are not printed. */
function describeEntry(entry: MissedEntry, me: string, messages: Messages): string[] {
  if (entry.erased) return [];
  const who = sanitizeLine(entry.by);
  switch (entry.kind) {
    case 'update:chat':
      return [messages.editedTo(who, sanitizeLine(entry.message))];
    case 'delete:chat':
      return [messages.chatDeleted(who)];
    case 'add:reaction':
      return [messages.reacted(who, sanitizeLine(entry.reaction))];
    case 'update:room':
      return entry.topic === undefined ? [messages.changedRoom(who)] : describeNote(entry, me, messages);
    default:
      return describeNote(entry, me, messages);
  }
}

const describeNote = (entry: MissedEntry, me: string, messages: Messages): string[] => {
  const note = toSystemNote(entry, me);
  return note ? messages.notes([note], sanitizeLine) : [];
};

function endReason({ reason, by, error }: RoomEnding, messages: Messages): string | undefined {
  if (reason === 'left' || reason === 'closed') return undefined;
  return error ? error.message : messages.ending(reason, by);
}
