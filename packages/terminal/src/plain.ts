import { createInterface, type Interface } from 'node:readline';
import type { Chat, Client, Ending, Missed, OutgoingChat, Room, ShownChat } from '@engawa/client';
import { type Command, commands, type Host, namesOf, read } from './app/commands.ts';
import { isTold } from './app/history-window.ts';
import { chatsOf } from './app/long-text.ts';
import { noteOf } from './app/notes.ts';
import { onReaderGone } from './lines/pipe-reader.ts';
import { type ReplyTarget, ReplyTargets, targetOf } from './lines/reply-targets.ts';
import type { Profile } from './profile/profile.ts';
import type { Surroundings } from './surroundings.ts';
import { lengthOf } from './text/length.ts';
import { quoteOf } from './text/quote.ts';
import { safeLine } from './text/safe.ts';
import { warn } from './warn.ts';
import type { Words } from './words/words.ts';

interface Screen {
  words: Words;
  print: (line: string) => void;
  /** Says why it is over. */
  fail: (reason: string) => void;
}

export interface PlainOptions {
  room: string;
  profile: Pick<Profile, 'server' | 'username' | 'isAlone'>;
  words: Words;
  client: Client;
}

type LineCommand = Extract<Command, { lines: true }>;

const HISTORY_CHATS = 20;
/** Fewer than an outbox holds, however long they are: a pipe waits rather than that a line is refused. */
const WAITING_LINES = 40;
const CONNECT_MS = 1_000;
const LEAVE_MS = 5_000;
const MOST_ROOMS = 100;

/** Those that need no screen. */
const known = commands.filter((command): command is LineCommand => command.lines === true);

/**
 * Talking in plain lines, for pipes and screen readers: resolves with the exit code, when the room was left or the input
 * ended.
 */
export async function plain({ room, profile, words, client }: PlainOptions, { stdin, stdout, stderr }: Surroundings): Promise<number> {
  const lines = createInterface({ input: stdin, ...(stdin.isTTY && { output: stdout, prompt: '> ' }) });
  stdout.on('error', () => lines.close());
  onReaderGone(stdout, () => lines.close());
  let exitCode = 0;
  const screen: Screen = {
    words,
    print: printer(lines, stdout, Boolean(stdin.isTTY)),
    fail(reason) {
      if (exitCode === 0) warn(stderr, reason);
      exitCode = 1;
      void client.close();
      lines.close();
    },
  };
  const joining = enter(client, { ...profile, room }, screen);
  await sendLines(lines, joining, { client, screen });
  lines.close();
  await leave(client, await joining, profile);
  return exitCode;
}

/** Joins or opens the room, and shows what is said and done there; nothing when it cannot be had. */
async function enter(
  client: Client,
  { server, room: roomId, username }: { server: string; room: string; username: string },
  screen: Screen,
): Promise<Room | undefined> {
  const { print, fail, words } = screen;
  let isLost = false;
  let trouble = '';
  const told = new Set<string>();
  const lost = (reason: string) => {
    if (!isLost) print(`* ${words.tryingAgain(server, safeLine(reason))}`);
    isLost = true;
    explain();
  };
  const explain = () => {
    if (trouble !== '') print(`* ${trouble}`);
    trouble = '';
  };
  const unconnected = setTimeout(() => client.state === 'connecting' && lost(words.noConnection), CONNECT_MS);
  client.on('state', (state) => state === 'reconnecting' && lost(words.noConnection));
  client.on('error', (error) => {
    if (!error.retryable) return fail(error.address === undefined ? error.message : words.trouble(error));
    if (error.address === undefined) return lost(error.message);
    const text = safeLine(words.trouble(error));
    // Each reason is told once; the first with the line that says that there is no connection.
    if (!told.has(text)) trouble = text;
    told.add(text);
    if (isLost || client.state === 'online') explain();
  });
  try {
    const room = await client.join(roomId, { username, create: true });
    isLost = false;
    show(room, screen);
    room.on('state', (state) => {
      if (isLost && state === 'live') print(headingOf(room, words));
      isLost &&= state !== 'live';
    });
    return room;
  } catch (error) {
    fail((error as Error).message);
    return undefined;
  } finally {
    clearTimeout(unconnected);
  }
}

function show(room: Room, { print, fail, words }: Screen): void {
  const targets = new ReplyTargets();
  let printed = Promise.resolve();
  // In order, though a reply may have to wait for what it replies to.
  const printChat = (chat: Chat) => {
    const line = lineOf(chat, { words, target: targetOf(chat, { room, epoch: room.position.epoch, targets }) });
    targets.told(chat, room.position.epoch);
    printed = printed.then(async () => print(await line));
  };
  const showNewest = () => {
    for (const chat of room.timeline.chats.filter(isTold).slice(-HISTORY_CHATS)) printChat(chat);
  };
  const note = (text: string) => {
    printed = printed.then(() => print(`* ${text}`));
  };
  print(headingOf(room, words));
  showNewest();
  room.on('chat', printChat);
  room.on('entry', (entry) => {
    targets.changed(entry);
    for (const text of notesOf(entry, room.username, words)) note(text);
  });
  room.on('reset', () => {
    note(words.startsAnew);
    showNewest();
  });
  room.on('ended', (ending) => {
    const reason = reasonOf(ending, words);
    if (reason !== undefined) fail(reason);
  });
}

/** Resolves when the input has ended and the server has kept, or refused, all of it. */
async function sendLines(
  lines: Interface,
  joining: Promise<Room | undefined>,
  { client, screen }: { client: Client; screen: Screen },
): Promise<void> {
  const onTheWay: Promise<void>[] = [];
  const asked: Asked = { isOver: false, deletionOf: undefined };
  for await (const line of lines) {
    const room = await joining;
    if (!room || room.ending) break;
    onTheWay.push(obey(line, new LineHost(room, { client, screen, asked })));
    if (asked.isOver) break;
    if (onTheWay.length > WAITING_LINES) await onTheWay.shift();
  }
  await Promise.all(onTheWay);
}

/** What those lines asked for that outlives them. */
interface Asked {
  isOver: boolean;
  /** The seq of a chat that is deleted when the next line says so again. */
  deletionOf: number | undefined;
}

async function obey(line: string, host: LineHost): Promise<void> {
  const typed = read(line, known);
  if (typed.kind !== 'command' || typed.command.name !== 'delete') host.forgetDeletion();
  if (typed.kind === 'command') await (typed.command as LineCommand).run(host, typed.rest);
  else if (typed.kind === 'chat') await send(typed.text, host);
  else host.complain(host.words.unknownCommand(safeLine(typed.name), typed.nearest));
}

async function send(text: string, { room, words, say }: LineHost): Promise<void> {
  const chats = chatsOf(text);
  if (chats.length > 1) say(words.splitLine(lengthOf(text), chats.length));
  await Promise.all(
    chats.map(async (chat) => {
      const result = await room.send(chat).settled;
      if (!result.ok) say(words.notSentLine(safeLine(words.refusal(result.error)), quoteOf(chat)));
    }),
  );
}

/** What commands do in lines. */
class LineHost implements Host {
  readonly room: Room;
  readonly words: Words;
  readonly #asked: Asked;
  readonly #client: Client;
  readonly #print: Screen['print'];

  constructor(room: Room, { client, screen, asked }: { client: Client; screen: Screen; asked: Asked }) {
    this.room = room;
    this.words = screen.words;
    this.#asked = asked;
    this.#client = client;
    this.#print = screen.print;
  }

  readonly say = (text: string): void => this.#print(`* ${text}`);
  readonly complain = this.say;

  async show(what: 'help' | 'who' | 'rooms'): Promise<void> {
    if (what === 'help') this.#help();
    else if (what === 'who') await this.#who();
    else await this.#rooms();
  }

  quit(): void {
    this.#asked.isOver = true;
  }

  async confirmDeletion({ seq, message }: Chat, act: () => Promise<unknown>): Promise<void> {
    const isConfirmed = this.#asked.deletionOf === seq;
    this.#asked.deletionOf = isConfirmed ? undefined : seq;
    if (isConfirmed) await act();
    else this.say(this.words.confirmDeletionLine(quoteOf(message ?? '')));
  }

  forgetDeletion(): void {
    this.#asked.deletionOf = undefined;
  }

  target(whose: 'mine' | 'others' | 'anybody'): Chat | undefined {
    const isMeant = ({ username }: ShownChat) => whose === 'anybody' || (username === this.room.username) === (whose === 'mine');
    const found = this.room.timeline.chats.findLast((chat) => isTold(chat) && !chat.deleted && isMeant(chat));
    return found && isTold(found) ? found : undefined;
  }

  failed(): OutgoingChat | undefined {
    const found = this.room.timeline.chats.findLast(({ state }) => state === 'failed');
    return found?.state === 'failed' ? found.outgoing : undefined;
  }

  #help(): void {
    const { words } = this;
    for (const command of known)
      this.say(`${namesOf(command).join(', ')}  ${command.name === 'quit' ? words.commands.quitPlain : words.commands[command.name]}`);
  }

  async #who(): Promise<void> {
    const answer = await this.room.listMembers({ limit: 500 });
    if (!answer.ok) return this.say(safeLine(this.words.refusal(answer.error)));
    const names = answer.members.map(({ username }) => safeLine(username)).join(', ');
    this.say(this.words.hereAre(answer.count, names, answer.more));
  }

  async #rooms(): Promise<void> {
    const answer = await this.#client.listRooms({ limit: MOST_ROOMS });
    if (!answer.ok) return this.say(safeLine(this.words.refusal(answer.error)));
    for (const { roomId, members, topic } of answer.rooms)
      this.say(`#${safeLine(roomId)}  ${this.words.members(members)}  ${safeLine(topic)}`);
    if (answer.more) this.say(this.words.andMore);
  }
}

/** Unless another program of the profile is there under the name. Without a connection the name lapses by itself. */
async function leave(client: Client, room: Room | undefined, profile: Pick<Profile, 'isAlone'>): Promise<void> {
  const late = setTimeout(() => void client.close(), LEAVE_MS);
  if (client.state === 'online' && room && profile.isAlone(room.id)) await room.leave();
  clearTimeout(late);
  await client.close();
}

/** Prints above the line that is being typed. */
function printer(lines: Interface, stdout: NodeJS.WriteStream, isTerminal: boolean): (line: string) => void {
  if (!isTerminal) return (line) => void stdout.write(`${line}\n`);
  return (line) => {
    stdout.write(`\r\u001b[K${line}\n`);
    lines.prompt(true);
  };
}

const headingOf = ({ id, topic, members }: Room, words: Words): string => `* ${words.heading(safeLine(id), safeLine(topic), members)}`;

async function lineOf(
  { at, username, message, edited, replyTo }: Chat,
  { words, target }: { words: Words; target: Promise<ReplyTarget | undefined> },
): Promise<string> {
  const text = message === null ? words.deleted : safeLine(message);
  const reply = replyTo === undefined ? '' : ` ${replyIn(words, await target)}`;
  return `${words.clock(at)} ${safeLine(username)}${reply}${edited === undefined ? '' : ` ${words.edited}`}: ${text}`;
}

function replyIn(words: Words, target: ReplyTarget | undefined): string {
  if (!target) return words.replyLine(words.unknownChat, undefined);
  return words.replyLine(safeLine(target.username), target.message === null ? words.deleted : quoteOf(target.message));
}

/** Of one's own coming and going others are told. */
function notesOf(entry: Missed, me: string, words: Words): string[] {
  if (entry.erased) return [];
  const who = safeLine(entry.by);
  switch (entry.kind) {
    case 'update:chat':
      return [words.editedTo(who, safeLine(entry.message))];
    case 'delete:chat':
      return [words.deletedOne(who)];
    case 'add:reaction':
      return [words.reacted(who, safeLine(entry.reaction))];
    case 'update:room':
      return entry.topic === undefined ? [words.changedRoom(who)] : notesIn(entry, me, words);
    default:
      return notesIn(entry, me, words);
  }
}

const notesIn = (entry: Missed, me: string, words: Words): string[] => {
  const note = noteOf(entry, me);
  return note ? words.notes([note], safeLine) : [];
};

function reasonOf({ reason, by, error }: Ending, words: Words): string | undefined {
  if (reason === 'left' || reason === 'closed') return undefined;
  return error ? error.message : words.ending(reason, by);
}
