import { type CliOptions, defineSubcommand, type Subcommand } from './command-line/subcommand.ts';

/** Who, and where. */
const IDENTITY_OPTIONS: CliOptions = {
  as: { value: 'NAME', what: 'your name in the room' },
  server: { value: 'URL', what: 'the server; http://localhost:3000 when nothing says another' },
  profile: { value: 'NAME', what: 'the profile that says both; see engawa profile' },
};

const SCRIPT_OPTIONS: CliOptions = {
  ...IDENTITY_OPTIONS,
  json: { what: 'print JSON, one object a line' },
  'connect-timeout': { value: 'TIME', what: 'give up when there is no connection for so long, as 30s or 5m; 0 waits for ever' },
  quiet: { short: 'q', what: 'say nothing of the connection on the standard error' },
};

const CURSOR_OPTIONS: CliOptions = {
  since: {
    value: 'WHEN',
    what: 'only what came after: mark, a seq, a time as 2026-11-24T09:30, or so long ago as 10m or 2d by the clock of the server',
  },
  mark: { value: 'FILE', what: 'keep the mark in this file instead of the profile; says --since mark, too' },
};

const EXIT_DONE = { 0: 'done' };
const EXIT_FAILED = { 1: 'the server refused it, or something failed; the standard error says why' };
const EXIT_USAGE = { 2: 'the command line or the config file is wrong' };
const EXIT_NO_CONNECTION = { 3: 'there was no connection for as long as --connect-timeout says' };
const EXIT_SIGNAL = { 130: 'ended by Ctrl-C (128 and the number of the signal)' };
const EXIT_BROKEN_PIPE = { 141: 'whoever read the output went away' };

const ENVIRONMENT = {
  ENGAWA_NAME: 'your name, where --as does not say it',
  ENGAWA_SERVER: 'the server, where --server does not say it',
  ENGAWA_PROFILE: 'the profile, where --profile does not say it',
  HOME: 'your home; that of your account when it is not set or not an absolute path',
  XDG_CONFIG_HOME: 'holds engawa/config.json; ~/.config when it is not set or not an absolute path',
  XDG_STATE_HOME: 'holds engawa/, with sessions and marks; ~/.local/state when it is not set or not an absolute path',
};

const MEMBERSHIP_HELP =
  'Only members talk: the command joins under your name, and leaves at its end unless another program of the same profile, such as an open `engawa chat`, is in the room.';
const READ_ONLY_HELP =
  'It looks and does not join: nobody in the room learns of it, and no name is needed. Who was removed by the owner is refused until they have joined again.';
const POLLING_HELP =
  'The server is asked for what is new, four times a second while there is something and once a second while there is nothing.';
const CURSOR_HELP =
  'A mark is the place up to which the output was taken. It moves only then, so that a run that is cut off loses nothing, and the next one repeats a line at most. Where there is no mark yet, `--since mark` begins with the first chat.';
const JSON_HELP =
  'With --json each line is one object, in plain ASCII where a terminal could be misled. A chat has room, epoch, seq, id, kind ("create:chat"), at (milliseconds since 1970), username and message, and where it applies replyTo, the seq of the chat that it answers, replyToChat with the seq, username and message of that, edited, deleted and reactions. Other kinds are as in the protocol.';

/** What the terminal side of the command can do. Each part is loaded only when it is asked for. */
export const subcommands: readonly Subcommand[] = [
  defineSubcommand(
    {
      name: 'chat',
      usage: '[ROOM] [--as NAME] [--server URL]',
      summary: 'talk: full-screen on a terminal, line by line elsewhere',
      details: [
        'Joins ROOM, or opens it, and shows what is said there. Without a ROOM it opens those that were open last. Type to talk; /help lists what else can be typed.',
        'In a pipe, with TERM=dumb or with --plain it is plain lines, which screen readers read well. For scripts there are send, read, tail and wait.',
        'The full-screen client stays a member when it is quit, until the server lets the name go: of a guest after 30 seconds. What is unread is counted from where you read, on this machine, all the same. /leave leaves a room at once. What you were typing is in its room again the next time.',
      ],
      options: {
        ...IDENTITY_OPTIONS,
        plain: { what: 'plain lines, also on a terminal' },
        lang: { value: 'en|ja', what: 'the language; that of LC_ALL or LANG when not given' },
        theme: { value: 'light|dark|none', what: 'the colours; as the terminal says when not given' },
      },
      examples: [
        ['engawa chat veranda --as aya', 'join the room, or open it'],
        ['engawa chat', 'go on where you left off'],
      ],
      exitCodes: { ...EXIT_DONE, ...EXIT_FAILED, ...EXIT_USAGE },
      environment: {
        ...ENVIRONMENT,
        ENGAWA_MOUSE: 'off leaves the mouse to the terminal',
        ENGAWA_THEME: 'the colours, where --theme does not say them',
        LANG: 'the language, where --lang does not say it',
        NO_COLOR: 'when set, no colours',
        VISUAL: 'the editor for long texts; EDITOR where it is not set, and vi where neither is',
      },
      completes: 'rooms',
    },
    async (args, io) => (await import('./chat-command.ts')).chat(args, io),
  ),
  defineSubcommand(
    {
      name: 'send',
      usage: 'ROOM [TEXT...]',
      summary: 'say TEXT, or each line of the standard input',
      details: [
        'Each line is one chat, in order; empty lines are left out. It ends when the server has kept all of them, and waits as long as that takes: while the server is away, it reads no more than a few lines ahead. It prints nothing, unless with --json, where each chat that was kept is a line with room, line, seq and clientId.',
        'A server takes so many chats of one author in a room: 1 a second where its operator says nothing else (`engawa serve --chat-rate`), and 20 at once. More of them wait, and the standard error says once how fast they are taken and, where it can be known, how long it will take.',
        'A line of more than 4,000 characters, or of 16,000 bytes as JSON, becomes several chats, and the standard error says so.',
        'Ctrl-C waits up to five seconds for what is on its way, and a second one for nothing. The standard error says how many lines were not acknowledged.',
        MEMBERSHIP_HELP,
      ],
      options: {
        ...SCRIPT_OPTIONS,
        create: { what: 'open the room if there is none' },
        message: { short: 'm', what: 'the whole standard input as one chat, without the line breaks at its end' },
        'no-split': { what: 'refuse what is too long for one chat' },
      },
      examples: [
        ['engawa send ops "deploy of 1.4 began"', 'one chat'],
        ['tail -f app.log | engawa send ops', 'each line, as it comes'],
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
      summary: 'print the chats that are there, and end',
      details: [
        'Prints chats as they stand now, oldest first. It gives up without a connection for 10 seconds unless --connect-timeout says otherwise.',
        CURSOR_HELP,
        JSON_HELP,
        READ_ONLY_HELP,
      ],
      options: {
        ...SCRIPT_OPTIONS,
        ...CURSOR_OPTIONS,
        limit: { value: 'N', what: 'at most so many: the newest, or with --since the first of them' },
      },
      examples: [
        ['engawa read ops --limit 20', 'the newest 20'],
        ['engawa read ops --since mark --json', 'what came since the last time'],
        ['engawa read ops --since 1h | grep -i error', 'of the last hour'],
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
      summary: 'print chats as they come, for ever',
      details: [
        'Prints the last chats, then each new one, once and in order, through drops and restarts of the server. With --all also edits, deletions, reactions, topics, and who joins and leaves.',
        'A slow reader loses nothing: while much waits for it, nothing more is asked for.',
        POLLING_HELP,
        CURSOR_HELP,
        JSON_HELP,
        READ_ONLY_HELP,
      ],
      options: {
        ...SCRIPT_OPTIONS,
        ...CURSOR_OPTIONS,
        lines: { short: 'n', value: 'N', what: 'begin with the newest N chats; 10 when not given' },
        all: { what: 'every kind of entry, not only chats' },
      },
      examples: [
        ['engawa tail ops', 'follow the room'],
        ['engawa tail ops --since mark --json | ./bot', 'go on where the last run ended'],
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
        'Ends with the first chat that matches, among those that come from now on, or came since when --since says. Text is looked for as it is; between slashes it is a regular expression, with its flags after it.',
        'A script that asks and then waits says since when, or an answer that is quicker is missed.',
        POLLING_HELP,
        JSON_HELP,
        READ_ONLY_HELP,
      ],
      options: {
        ...SCRIPT_OPTIONS,
        ...CURSOR_OPTIONS,
        match: { value: 'WHAT', what: 'text, or a regular expression as /deploy (ok|failed)/i; any chat when not given' },
        from: { value: 'NAME', what: 'only chats of this name' },
        timeout: { value: 'TIME', what: 'give up after so long, as 90s or 10m' },
      },
      examples: [
        ["engawa wait ops --match '/deploy ok/' --timeout 10m", 'for CI: 0 when it came, 124 when not'],
        ["engawa send ops 'deploy please' && engawa wait ops --from bot --since 1m --timeout 10m", 'ask, and wait for the answer'],
      ],
      exitCodes: { 0: 'it came', ...EXIT_FAILED, ...EXIT_USAGE, ...EXIT_NO_CONNECTION, 124: 'it did not come in time', ...EXIT_SIGNAL },
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
      details: ['Prints a line for each: its id, how many members it has, and its topic. With --json: roomId, topic, members, seq and at.'],
      options: SCRIPT_OPTIONS,
      examples: [['engawa rooms --server https://chat.example', 'all its rooms']],
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
        'Prints a line for each: the name, whether they are online, away or gone, and whether they own the room. With --json: username, role, since, presence and read.',
        READ_ONLY_HELP,
      ],
      options: SCRIPT_OPTIONS,
      examples: [['engawa who veranda', 'everybody there']],
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
      summary: 'servers and names that you need not type again',
      details: [
        'A profile has a server, your name there, and a folder with the session by which the name is yours. `set` makes or changes one, and the first one is used at once; `use` says which is used when none is named; `default` is always there. `show` says what is in force, and what said it. `remove` also lets its session go, with marks, drafts and unsent chats.',
        'The config file is for you alone (0600), and so is the folder. Whoever has the session speaks as you.',
      ],
      options: { server: { value: 'URL', what: 'with set: the server' }, as: { value: 'NAME', what: 'with set: your name there' } },
      examples: [
        ['engawa profile set work --server https://chat.example --as aya', 'make one'],
        ['engawa profile use work', 'and use it from now on'],
      ],
      exitCodes: { ...EXIT_DONE, ...EXIT_USAGE },
      environment: ENVIRONMENT,
      completes: ['list', 'show', 'set', 'use', 'remove'],
    },
    async (args, io) => (await import('./profile/profile-command.ts')).profileCommand(args, io),
  ),
];
