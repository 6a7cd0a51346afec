import { createInterface, type Interface } from 'node:readline';
import type { Chat } from '@engawa/protocol';
import { Conversation, type Happening } from './conversation.ts';
import { readOptions } from './options.ts';
import { safeLine } from './safe-text.ts';

/** The streams and surroundings of the program; `process` is one. */
export interface Surroundings {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  env: NodeJS.ProcessEnv;
}

interface Screen {
  conversation: Conversation;
  print: (line: string) => void;
  lines: Interface;
}

/** What can be typed beside chats; `/help` comes from here. */
const commands: Record<string, { what: string; run: (screen: Screen) => void | Promise<void> }> = {
  '/who': { what: 'who is here', run: who },
  '/help': { what: 'this list', run: help },
  '/quit': { what: 'leave the room', run: ({ lines }) => lines.close() },
};

/** `engawa chat`: resolves with the exit code, when the room was left or the input ended. */
export async function chat(args: string[], { stdin, stdout, stderr, env }: Surroundings): Promise<number> {
  const options = readOptions(args, env);
  if (typeof options === 'string') {
    stderr.write(`${options}\n`);
    return 2;
  }
  const lines = createInterface({ input: stdin, ...(stdin.isTTY && { output: stdout, prompt: '> ' }) });
  const print = printer(lines, stdout, Boolean(stdin.isTTY));
  stdout.on('error', () => lines.close());

  let exitCode = 0;
  const conversation = new Conversation(options, {
    joined: ({ roomId, topic, members }) =>
      print(`* ${roomId}${topic && `: ${safeLine(topic)}`} — ${members} here; /help lists what you can type`),
    chat: (said) => print(lineOf(said)),
    happened: (happening) => {
      const line = noteOf(happening);
      if (line !== undefined) print(line);
    },
    lost: (reason) => print(`* ${options.server}: ${safeLine(reason)} Trying again; what you type is kept.`),
    ended: (reason) => {
      stderr.write(`engawa: ${safeLine(reason)}\n`);
      exitCode = 1;
      lines.close();
    },
  });

  const sent = await readLines(lines, { conversation, print, lines });
  // A pipe that ended has sent nothing until the server has kept it.
  if (exitCode === 0) await Promise.all([conversation.begun, ...sent]);
  if (exitCode === 0) await conversation.leave();
  return exitCode;
}

/** Reads until the input ends; answers what is still on its way. */
async function readLines(lines: Interface, screen: Screen): Promise<Promise<void>[]> {
  const onTheWay = new Set<Promise<void>>();
  lines.on('line', (line) => {
    const command = Object.hasOwn(commands, line) ? commands[line] : undefined;
    if (command) onTheWay.add(screen.conversation.begun.then(() => command.run(screen)));
    else if (line !== '') {
      const sending = send(screen, line).finally(() => onTheWay.delete(sending));
      onTheWay.add(sending);
    }
  });
  await new Promise((resolve) => lines.once('close', resolve));
  return [...onTheWay];
}

function help({ print }: Screen): void {
  for (const [name, { what }] of Object.entries(commands)) print(`* ${name}  ${what}`);
}

async function who({ conversation, print }: Screen): Promise<void> {
  const answer = await conversation.members();
  if (!answer.ok) return print(`* ${safeLine(answer.error.message)}`);
  const names = answer.members.map(({ username }) => safeLine(username)).join(', ');
  print(`* ${answer.count} here: ${names}${answer.more ? ', and more' : ''}`);
}

async function send({ conversation, print }: Screen, message: string): Promise<void> {
  const error = await conversation.send(message);
  if (error) print(`* not sent: ${safeLine(error.message)} (${safeLine(message.slice(0, 40))})`);
}

/** Prints above the line that is being typed. */
function printer(lines: Interface, stdout: NodeJS.WriteStream, isTerminal: boolean): (line: string) => void {
  if (!isTerminal) return (line) => void stdout.write(`${line}\n`);
  return (line) => {
    stdout.write(`\r\u001b[K${line}\n`);
    lines.prompt(true);
  };
}

const clockOf = (at: number): string => new Date(at).toTimeString().slice(0, 5);

function lineOf({ at, username, message, edited }: Chat): string {
  const text = message === null ? '(deleted)' : safeLine(message);
  return `${clockOf(at)} ${safeLine(username)}${edited === undefined ? '' : ' (edited)'}: ${text}`;
}

function noteOf({ kind, heard }: Happening): string | undefined {
  const who = safeLine(heard.by);
  switch (kind) {
    case 'add:member':
      return `* ${who} joined`;
    case 'remove:member':
      return heard.reason === 'removed' ? `* ${who} removed ${safeLine(heard.username)}` : `* ${safeLine(heard.username)} left`;
    case 'update:chat':
      return `* ${who} edited: ${safeLine(heard.message)}`;
    case 'delete:chat':
      return `* ${who} deleted a chat`;
    case 'add:reaction':
      return `* ${who} reacted ${safeLine(heard.reaction)}`;
    case 'update:room':
      return `* ${who} set the topic: ${safeLine(heard.topic)}`;
    default:
      return undefined;
  }
}
