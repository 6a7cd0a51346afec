import { known, type Options, reading, type Subcommand, subcommands as terminal } from '@engawa/terminal';
import { help } from './help.ts';
import { version } from './version.ts';

const DONE = { 0: 'done' };
const FAILED = { 1: 'it failed; the standard error says why' };
const WRONG = { 2: 'the command line is wrong' };
const SETTINGS_TEXT =
  'Each setting is a flag, else a variable, else a line of the JSON file that --config or ENGAWA_CONFIG names (engawa.json when it is there), else its default. `engawa settings` prints what is in force.';

const settings = async (): Promise<Options> => (await import('@engawa/server')).settingOptions();

/** Each side of the program is loaded only when it is asked for. */
const server: readonly Subcommand[] = [
  {
    name: 'serve',
    usage: '[--port N] [--data-dir DIR] [...]',
    what: 'run the chat server; nothing else has to be installed',
    about: ['Listens until it is told to stop by SIGINT or SIGTERM. Every room is a log in the data folder, or in Redis.', SETTINGS_TEXT],
    options: settings,
    examples: [
      ['engawa serve', 'on port 3000, with its data in ./engawa-data'],
      ['engawa serve --redis-url redis://localhost', 'on Redis'],
    ],
    exits: { ...DONE, ...FAILED },
    variables: { ENGAWA_CONFIG: 'the JSON file of settings' },
    run: async (args) => (await import('@engawa/server')).serve(args, process.env),
  },
  {
    name: 'settings',
    usage: '[...]',
    what: 'print the settings of serve: flag, variable, value, where it came from',
    about: [SETTINGS_TEXT],
    options: settings,
    examples: [['engawa settings', 'what serve would run with']],
    exits: { ...DONE, ...FAILED },
    variables: { ENGAWA_CONFIG: 'the JSON file of settings' },
    run: async (args) => (await import('@engawa/server')).printSettings(args, process.env),
  },
  {
    name: 'move',
    usage: '--from URL --to URL [--dry-run]',
    what: 'move all rooms from one store to another, and compare both',
    about: ['A store is a folder, or the URL of a Redis. No server may run on either meanwhile.'],
    options: {
      from: { value: 'URL', what: 'the store to read' },
      to: { value: 'URL', what: 'the store to fill' },
      'dry-run': { what: 'only say what would be done' },
    },
    examples: [['engawa move --from engawa-data --to redis://localhost', 'to Redis']],
    exits: { ...DONE, ...FAILED },
    variables: {},
    run: async (args) => (await import('@engawa/server')).move(args, process.env),
  },
  {
    name: 'import',
    usage: 'tutorial --from REDIS_URL [--to URL]',
    what: "bring in what the tutorial's server wrote; --dry-run says what it would do",
    about: ['Reads the Redis of the tutorial, and fills rooms with what is there. Done twice, it changes nothing the second time.'],
    options: {
      from: { value: 'REDIS_URL', what: "the tutorial's Redis" },
      to: { value: 'URL', what: 'the store to fill; that of serve when not given' },
      'dry-run': { what: 'only say what would be done' },
    },
    examples: [['engawa import tutorial --from redis://localhost --dry-run', 'what there is']],
    exits: { ...DONE, ...FAILED },
    variables: {},
    completes: ['tutorial'],
    run: async (args) => (await import('@engawa/server')).importData(args, process.env),
  },
  {
    name: 'trim',
    usage: '[--dry-run] [--room ID] [...]',
    what: 'let go now of what is not to be kept, or only say what would go',
    about: ['What is kept say --max-age, --max-count and --max-bytes, and the owners of the rooms.', SETTINGS_TEXT],
    options: async () => ({
      'dry-run': { what: 'only say what would go' },
      room: { value: 'ID', what: 'only this room' },
      ...(await settings()),
    }),
    examples: [['engawa trim --max-age 90d --dry-run', 'what a limit of 90 days would let go']],
    exits: { ...DONE, ...FAILED },
    variables: { ENGAWA_CONFIG: 'the JSON file of settings' },
    run: async (args) => (await import('@engawa/server')).trim(args, process.env),
  },
];

const own: readonly Subcommand[] = [
  reading(
    {
      name: 'completion',
      usage: 'bash | zsh | fish',
      what: 'print what makes a shell complete this command',
      about: [
        'Completes subcommands, options, profiles, and the rooms that were open last; no server is asked.',
        'Once it is in force, it goes with the version of the command that printed it.',
      ],
      options: {},
      examples: [
        ['source <(engawa completion bash)', 'in ~/.bashrc'],
        ['source <(engawa completion zsh)', 'in ~/.zshrc, after compinit'],
        ['engawa completion fish > ~/.config/fish/completions/engawa.fish', 'once'],
      ],
      exits: { ...DONE, ...WRONG },
      variables: {},
      completes: ['bash', 'zsh', 'fish'],
    },
    async ({ words: [asked = ''] }) => {
      if (asked === 'profiles' || asked === 'rooms') return sayAll(await known(asked, process.env).catch(() => []));
      const { completions } = await import('./completion.ts');
      const script = completions.get(asked);
      if (script) return say((await script(subcommands)).trimEnd());
      console.error('engawa: for which shell, bash, zsh or fish?');
      return 2;
    },
  ),
  {
    name: 'version',
    usage: '',
    what: 'print the version',
    about: [],
    options: {},
    examples: [],
    exits: DONE,
    variables: {},
    run: () => say(version()),
  },
  reading(
    {
      name: 'help',
      usage: '[COMMAND]',
      what: 'print this, or all about a command',
      about: [],
      options: {},
      examples: [['engawa help send', 'all about send']],
      exits: { ...DONE, ...WRONG },
      variables: {},
    },
    ({ words: [name] }) => help(subcommands, name),
  ),
];

/** Everything that the command can do. */
export const subcommands: readonly Subcommand[] = [...server.slice(0, 1), ...terminal, ...server.slice(1), ...own];

function say(text: string): number {
  console.log(text);
  return 0;
}

const sayAll = (lines: string[]): number => (lines.length === 0 ? 0 : say(lines.join('\n')));
