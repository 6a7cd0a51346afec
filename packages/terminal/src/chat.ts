import { createInterface, type Interface } from 'node:readline';
import { type Chat, type Client, connect, type Ending, type Missed, type Room } from '@engawa/client';
import { type Options, readOptions } from './options.ts';
import { safeLine } from './text/safe.ts';

/** The streams and surroundings of the program; `process` is one. */
export interface Surroundings {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  env: NodeJS.ProcessEnv;
}

interface Screen {
  print: (line: string) => void;
  /** Says why it is over. */
  fail: (reason: string) => void;
}

const HISTORY_CHATS = 20;
/** Fewer than an outbox holds, however long they are: a pipe waits rather than that a line is refused. */
const WAITING_LINES = 40;
const CONNECT_MS = 1_000;
const LEAVE_MS = 5_000;

/** What can be typed beside chats; `/help` comes from here. */
const commands: Record<string, { what: string; run?: (room: Room, screen: Screen) => Promise<void> }> = {
  '/who': { what: 'who is here', run: who },
  '/help': { what: 'this list', run: help },
  '/quit': { what: 'leave the room' },
};

/** `engawa chat`: resolves with the exit code, when the room was left or the input ended. */
export async function chat(args: string[], { stdin, stdout, stderr, env }: Surroundings): Promise<number> {
  const options = readOptions(args, env);
  if (typeof options === 'string') {
    stderr.write(`${options}\n`);
    return 2;
  }
  const lines = createInterface({ input: stdin, ...(stdin.isTTY && { output: stdout, prompt: '> ' }) });
  stdout.on('error', () => lines.close());
  const client = connect(options.server);
  let exitCode = 0;
  const screen: Screen = {
    print: printer(lines, stdout, Boolean(stdin.isTTY)),
    fail(reason) {
      if (exitCode === 0) stderr.write(`engawa: ${safeLine(reason)}\n`);
      exitCode = 1;
      void client.close();
      lines.close();
    },
  };
  const joining = enter(client, options, screen);
  await sendLines(lines, joining, screen);
  lines.close();
  await leave(client, await joining);
  return exitCode;
}

/** Joins or opens the room, and shows what is said and done there; nothing when it cannot be had. */
async function enter(client: Client, { server, room: roomId, username }: Options, screen: Screen): Promise<Room | undefined> {
  const { print, fail } = screen;
  let isLost = false;
  const lost = (reason: string) => {
    if (!isLost) print(`* ${server}: ${safeLine(reason)} Trying again; what you type is kept.`);
    isLost = true;
  };
  const unconnected = setTimeout(() => client.state === 'connecting' && lost('no connection.'), CONNECT_MS);
  client.on('state', (state) => state === 'reconnecting' && lost('no connection.'));
  client.on('error', ({ message, retryable }) => (retryable ? lost(message) : fail(message)));
  try {
    const room = await client.join(roomId, { username, create: true });
    isLost = false;
    show(room, screen);
    room.on('state', (state) => {
      if (isLost && state === 'live') print(headingOf(room));
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

function show(room: Room, { print, fail }: Screen): void {
  print(headingOf(room));
  showNewest(room, print);
  room.on('chat', (said) => print(lineOf(said)));
  room.on('entry', (entry) => {
    const note = noteOf(entry, room.username);
    if (note !== undefined) print(note);
  });
  room.on('reset', () => {
    print('* too much was missed, or the server lost its end; the newest chats now:');
    showNewest(room, print);
  });
  room.on('ended', (ending) => {
    const reason = reasonOf(ending);
    if (reason !== undefined) fail(reason);
  });
}

function showNewest({ timeline }: Room, print: Screen['print']): void {
  const said = timeline.chats.filter(({ state }) => state === undefined);
  for (const each of said.slice(-HISTORY_CHATS)) print(lineOf(each));
}

/** Resolves when the input has ended and the server has kept, or refused, all of it. */
async function sendLines(lines: Interface, joining: Promise<Room | undefined>, screen: Screen): Promise<void> {
  const onTheWay: Promise<void>[] = [];
  for await (const line of lines) {
    const room = await joining;
    const command = Object.hasOwn(commands, line) ? commands[line] : { run: send(line) };
    if (!room || room.ending || !command?.run) break;
    onTheWay.push(command.run(room, screen));
    if (onTheWay.length > WAITING_LINES) await onTheWay.shift();
  }
  await Promise.all(onTheWay);
}

/** Without a connection the name lapses by itself. */
async function leave(client: Client, room: Room | undefined): Promise<void> {
  const late = setTimeout(() => void client.close(), LEAVE_MS);
  if (client.state === 'online') await room?.leave();
  clearTimeout(late);
  await client.close();
}

async function help(_: Room, { print }: Screen): Promise<void> {
  for (const [name, { what }] of Object.entries(commands)) print(`* ${name}  ${what}`);
}

async function who(room: Room, { print }: Screen): Promise<void> {
  const answer = await room.listMembers({ limit: 500 });
  if (!answer.ok) return print(`* ${safeLine(answer.error.message)}`);
  const names = answer.members.map(({ username }) => safeLine(username)).join(', ');
  print(`* ${answer.count} here: ${names}${answer.more ? ', and more' : ''}`);
}

const send =
  (line: string) =>
  async (room: Room, { print }: Screen): Promise<void> => {
    if (line === '') return;
    const result = await room.send(line).settled;
    if (!result.ok) print(`* not sent: ${safeLine(result.error.message)} (${safeLine(line.slice(0, 40))})`);
  };

/** Prints above the line that is being typed. */
function printer(lines: Interface, stdout: NodeJS.WriteStream, isTerminal: boolean): (line: string) => void {
  if (!isTerminal) return (line) => void stdout.write(`${line}\n`);
  return (line) => {
    stdout.write(`\r\u001b[K${line}\n`);
    lines.prompt(true);
  };
}

const clockOf = (at: number): string => new Date(at).toTimeString().slice(0, 5);

const headingOf = ({ id, topic, members }: Room): string =>
  `* ${id}${topic && `: ${safeLine(topic)}`} — ${members} here; /help lists what you can type`;

function lineOf({ at, username, message, edited }: Pick<Chat, 'at' | 'username' | 'message' | 'edited'>): string {
  const text = message === null ? '(deleted)' : safeLine(message);
  return `${clockOf(at)} ${safeLine(username)}${edited === undefined ? '' : ' (edited)'}: ${text}`;
}

/** Of the own coming and going others are told. */
function noteOf(entry: Missed, me: string): string | undefined {
  const who = safeLine(entry.by);
  const isOwn = entry.username === me;
  if (entry.erased) return undefined;
  switch (entry.kind) {
    case 'add:member':
      return isOwn ? undefined : `* ${who} joined`;
    case 'remove:member':
      if (isOwn) return undefined;
      return entry.reason === 'removed' ? `* ${who} removed ${safeLine(entry.username)}` : `* ${safeLine(entry.username)} left`;
    case 'update:chat':
      return `* ${who} edited: ${safeLine(entry.message)}`;
    case 'delete:chat':
      return `* ${who} deleted a chat`;
    case 'add:reaction':
      return `* ${who} reacted ${safeLine(entry.reaction)}`;
    case 'update:room':
      return entry.topic === undefined ? `* ${who} changed what is kept here` : `* ${who} set the topic: ${safeLine(entry.topic)}`;
    default:
      return undefined;
  }
}

function reasonOf({ reason, by, error }: Ending): string | undefined {
  if (reason === 'left' || reason === 'closed') return undefined;
  if (error) return error.message;
  return reason === 'removed' ? `${by} removed you.` : 'The room was deleted.';
}
