/** The subcommands of the chat client, with their options and help. */
import { type CliOptions, defineSubcommand, type Subcommand } from './command-line/subcommand.ts';

const IDENTITY_OPTIONS: CliOptions = {
  as: { value: 'NAME', what: 'your name in the room' },
  server: { value: 'URL', what: 'the URL of the server; default http://localhost:3000' },
  profile: { value: 'NAME', what: 'the profile with server and name; see engawa profile' },
};

const SCRIPT_OPTIONS: CliOptions = {
  ...IDENTITY_OPTIONS,
  json: { what: 'print JSON, one object a line' },
  'connect-timeout': { value: 'TIME', what: 'give up after this time without a connection, such as 30s or 5m; 0 never gives up' },
  quiet: { short: 'q', what: 'print only errors on standard error' },
};

const CURSOR_OPTIONS: CliOptions = {
  since: {
    value: 'WHEN',
    what: 'start after mark (the saved position), a seq, a time such as 2026-11-24T09:30, or an age such as 10m or 2d (clock of the server)',
  },
  mark: { value: 'FILE', what: 'save the mark in this file instead of the profile; implies --since mark' },
};

const EXIT_DONE = { 0: 'done' };
const EXIT_FAILED = { 1: 'failed, or refused by the server; the reason is on standard error' };
const EXIT_USAGE = { 2: 'the command line or the config file is invalid' };
const EXIT_NO_CONNECTION = { 3: 'no connection within --connect-timeout' };
const EXIT_SIGNAL = { 130: 'ended by Ctrl-C (128 + the number of the signal)' };
const EXIT_BROKEN_PIPE = { 141: 'the reader of the output is gone' };

const ENVIRONMENT = {
  ENGAWA_NAME: 'your name, unless --as is given',
  ENGAWA_SERVER: 'the server, unless --server is given',
  ENGAWA_PROFILE: 'the profile, unless --profile is given',
  HOME: 'your home directory; that of your account if unset or relative',
  XDG_CONFIG_HOME: 'the folder of engawa/config.json; ~/.config if unset or relative',
  XDG_STATE_HOME: 'the folder of engawa/, with sessions and marks; ~/.local/state if unset or relative',
};

const MEMBERSHIP_HELP =
  'Only members can chat: the command joins under your name. At its end it leaves, unless another program of the same profile is in the room, such as an open `engawa chat`.';
const READ_ONLY_HELP =
  'It reads without joining: members do not notice it, and it needs no name. If the owner has removed you, the server refuses it until you have joined again.';
const POLLING_HELP = 'It asks the server for new entries four times a second while there are some, and once a second otherwise.';
const CURSOR_HELP =
  'A mark is the position up to which the output was consumed. It advances only after that, so that an interrupted run loses nothing; the next run may repeat the last lines. Without a saved mark, `--since mark` starts with the first chat.';
const JSON_HELP =
  'With --json each line is one object, with escapes for characters that could mislead a terminal. A chat has room, epoch, seq, id, kind ("create:chat"), at (milliseconds since 1970), username and message. Where they apply it also has replyTo (the seq of the chat that it replies to), replyToChat (seq, username and message of that chat), edited, deleted and reactions. Other kinds are as in the protocol.';

/** Each subcommand loads its module only when it runs. */
export const subcommands: readonly Subcommand[] = [
  defineSubcommand(
    {
      name: 'chat',
      usage: '[ROOM] [--as NAME] [--server URL]',
      summary: 'chat: full-screen on a terminal, line by line elsewhere',
      details: [
        'Joins ROOM, or creates it, and shows its chats. Without ROOM it reopens the rooms of the last time. Type to chat; /help lists the commands.',
        'In a pipe, with TERM=dumb or with --plain it uses plain lines, which suit screen readers. For scripts use send, read, tail and wait.',
        'When you quit the full-screen client you stay a member until the server frees your name, for a guest after 30 seconds. Unread chats are still counted from the last one that you read on this machine. /leave leaves a room at once. Unsent text is saved for the next time.',
      ],
      options: {
        ...IDENTITY_OPTIONS,
        plain: { what: 'plain lines, even on a terminal' },
        lang: { value: 'en|ja', what: 'the language; default from LC_ALL or LANG' },
        theme: { value: 'light|dark|none', what: 'the colors; default from the terminal' },
      },
      examples: [
        ['engawa chat veranda --as aya', 'join the room, or create it'],
        ['engawa chat', 'reopen the rooms of the last time'],
      ],
      exitCodes: { ...EXIT_DONE, ...EXIT_FAILED, ...EXIT_USAGE },
      environment: {
        ...ENVIRONMENT,
        ENGAWA_MOUSE: 'off leaves the mouse to the terminal',
        ENGAWA_THEME: 'the colors, unless --theme is given',
        LANG: 'the language, unless --lang is given',
        NO_COLOR: 'if set, no colors',
        VISUAL: 'the editor for long texts; default EDITOR, then vi',
      },
      completes: 'rooms',
    },
    async (args, io) => (await import('./chat-command.ts')).chat(args, io),
  ),
  defineSubcommand(
    {
      name: 'send',
      usage: 'ROOM [TEXT...]',
      summary: 'send TEXT, or each line of standard input',
      details: [
        'Each line becomes one chat, in order; empty lines are skipped. The command ends when the server has stored all of them, however long that takes. While the server is unreachable, it reads only a few lines ahead. It prints nothing, except with --json: a line for each stored chat, with room, line, seq and clientId.',
        'A server limits the chats of one author in a room: by default to 1 a second (`engawa serve --chat-rate`), and 20 at once. Further chats wait, and standard error shows once how fast they are accepted and, if it is known, how long it will take.',
        'A line of more than 4,000 characters, or of 16,000 bytes as JSON, is split into several chats, with a message on standard error.',
        'Ctrl-C waits up to five seconds for unacknowledged chats; a second Ctrl-C does not wait. Standard error shows how many lines were not acknowledged.',
        MEMBERSHIP_HELP,
      ],
      options: {
        ...SCRIPT_OPTIONS,
        create: { what: 'create the room if it does not exist' },
        message: { short: 'm', what: 'send all of standard input as one chat, without the line breaks at its end' },
        'no-split': { what: 'refuse a text that is too long for one chat' },
      },
      examples: [
        ['engawa send ops "deploy of 1.4 began"', 'one chat'],
        ['tail -f app.log | engawa send ops', 'each line as it arrives'],
        ['git log -1 | engawa send ops -m', 'several lines as one chat'],
      ],
      exitCodes: { ...EXIT_DONE, ...EXIT_FAILED, ...EXIT_USAGE, ...EXIT_NO_CONNECTION, ...EXIT_SIGNAL },
      environment: ENVIRONMENT,
      completes: 'rooms',
    },
    async (args, io) => (await import('./scripting/send.ts')).send(args, io),
  ),
  defineSubcommand(
    {
      name: 'read',
      usage: 'ROOM',
      summary: 'print the existing chats of a room',
      details: [
        'Prints chats in their current state, oldest first. Gives up after 10 seconds without a connection, unless --connect-timeout is given.',
        CURSOR_HELP,
        JSON_HELP,
        READ_ONLY_HELP,
      ],
      options: {
        ...SCRIPT_OPTIONS,
        ...CURSOR_OPTIONS,
        limit: { value: 'N', what: 'at most N chats: the newest, or with --since the first ones' },
      },
      examples: [
        ['engawa read ops --limit 20', 'the newest 20'],
        ['engawa read ops --since mark --json', 'new chats since the last run'],
        ['engawa read ops --since 1h | grep -i error', 'errors of the last hour'],
      ],
      exitCodes: { ...EXIT_DONE, ...EXIT_FAILED, ...EXIT_USAGE, ...EXIT_NO_CONNECTION, ...EXIT_SIGNAL, ...EXIT_BROKEN_PIPE },
      environment: ENVIRONMENT,
      completes: 'rooms',
    },
    async (args, io) => (await import('./scripting/read.ts')).read(args, io),
  ),
  defineSubcommand(
    {
      name: 'tail',
      usage: 'ROOM',
      summary: 'print new chats as they arrive',
      details: [
        'Prints the last chats, then each new one, once and in order, through lost connections and server restarts. With --all it also prints edits, deletions, reactions, topics, joins and leaves.',
        'A slow reader loses nothing: while much output is buffered, nothing more is requested.',
        POLLING_HELP,
        CURSOR_HELP,
        JSON_HELP,
        READ_ONLY_HELP,
      ],
      options: {
        ...SCRIPT_OPTIONS,
        ...CURSOR_OPTIONS,
        lines: { short: 'n', value: 'N', what: 'start with the newest N chats; default 10' },
        all: { what: 'all kinds of entries, not only chats' },
      },
      examples: [
        ['engawa tail ops', 'follow the room'],
        ['engawa tail ops --since mark --json | ./bot', 'continue where the last run ended'],
      ],
      exitCodes: { ...EXIT_FAILED, ...EXIT_USAGE, ...EXIT_NO_CONNECTION, ...EXIT_SIGNAL, ...EXIT_BROKEN_PIPE },
      environment: ENVIRONMENT,
      completes: 'rooms',
    },
    async (args, io) => (await import('./scripting/tail.ts')).tail(args, io),
  ),
  defineSubcommand(
    {
      name: 'wait',
      usage: 'ROOM --match TEXT|/REGEX/',
      summary: 'wait for a chat, print it and end',
      details: [
        'Ends with the first matching chat: a new one, or with --since one after that position. Text is matched literally; text between slashes is a regular expression, with its flags after the second slash.',
        'A script that asks a question and then waits should use --since, or it may miss a quick answer.',
        POLLING_HELP,
        JSON_HELP,
        READ_ONLY_HELP,
      ],
      options: {
        ...SCRIPT_OPTIONS,
        ...CURSOR_OPTIONS,
        match: { value: 'WHAT', what: 'text, or a regular expression such as /deploy (ok|failed)/i; default any chat' },
        from: { value: 'NAME', what: 'only chats by this name' },
        timeout: { value: 'TIME', what: 'give up after this time, such as 90s or 10m' },
      },
      examples: [
        ["engawa wait ops --match '/deploy ok/' --timeout 10m", 'for CI: exit code 0 if it came, otherwise 124'],
        ["engawa send ops 'deploy please' && engawa wait ops --from bot --since 1m --timeout 10m", 'ask, and wait for the answer'],
      ],
      exitCodes: {
        0: 'a chat matched',
        ...EXIT_FAILED,
        ...EXIT_USAGE,
        ...EXIT_NO_CONNECTION,
        124: 'no chat matched in time',
        ...EXIT_SIGNAL,
      },
      environment: ENVIRONMENT,
      completes: 'rooms',
    },
    async (args, io) => (await import('./scripting/wait.ts')).wait(args, io),
  ),
  defineSubcommand(
    {
      name: 'rooms',
      usage: '',
      summary: 'list the rooms of the server',
      details: [
        'Prints a line for each room: its id, its number of members and its topic. With --json: roomId, topic, members, seq and at.',
      ],
      options: SCRIPT_OPTIONS,
      examples: [['engawa rooms --server https://chat.example', 'all rooms of this server']],
      exitCodes: { ...EXIT_DONE, ...EXIT_FAILED, ...EXIT_USAGE, ...EXIT_NO_CONNECTION, ...EXIT_SIGNAL, ...EXIT_BROKEN_PIPE },
      environment: ENVIRONMENT,
    },
    async (args, io) => (await import('./scripting/list-commands.ts')).listRooms(args, io),
  ),
  defineSubcommand(
    {
      name: 'who',
      usage: 'ROOM',
      summary: 'list the members of a room',
      details: [
        'Prints a line for each member: the name, online, away or gone (offline), and whether they own the room. With --json: username, role, since, presence and read.',
        READ_ONLY_HELP,
      ],
      options: SCRIPT_OPTIONS,
      examples: [['engawa who veranda', 'all members of the room']],
      exitCodes: { ...EXIT_DONE, ...EXIT_FAILED, ...EXIT_USAGE, ...EXIT_NO_CONNECTION, ...EXIT_SIGNAL, ...EXIT_BROKEN_PIPE },
      environment: ENVIRONMENT,
      completes: 'rooms',
    },
    async (args, io) => (await import('./scripting/list-commands.ts')).listMembers(args, io),
  ),
  defineSubcommand(
    {
      name: 'profile',
      usage: '[list | show [NAME] | set NAME | use NAME | remove NAME]',
      summary: 'save servers and names as profiles',
      details: [
        'A profile has a server, your name there, and a folder with the session that owns the name. `set` creates or changes a profile; the first one is used at once. `use` chooses the profile that is used when none is named; the profile `default` always exists. `show` prints the effective settings and their sources. `remove` also deletes the session, marks, drafts and unsent chats.',
        'Only you can read the config file (0600) and the folder. A person with the session can act as you.',
      ],
      options: { server: { value: 'URL', what: 'with set: the server' }, as: { value: 'NAME', what: 'with set: your name there' } },
      examples: [
        ['engawa profile set work --server https://chat.example --as aya', 'create a profile'],
        ['engawa profile use work', 'use it from now on'],
      ],
      exitCodes: { ...EXIT_DONE, ...EXIT_USAGE },
      environment: ENVIRONMENT,
      completes: ['list', 'show', 'set', 'use', 'remove'],
    },
    async (args, io) => (await import('./profile/profile-command.ts')).profileCommand(args, io),
  ),
];
