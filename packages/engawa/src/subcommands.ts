// All subcommands of `engawa`: the server's, the terminal's and its own.
import { type CliOptions, completionValues, defineSubcommand, type Subcommand, subcommands as terminal } from '@engawa/terminal';
import { help } from './help.ts';
import { findUnknownVariables } from './unknown-variables.ts';
import { packageVersion } from './version.ts';

const EXIT_DONE = { 0: 'done' };
const EXIT_FAILED = { 1: 'failed; the reason is on standard error' };
const EXIT_USAGE = { 2: 'the command line is invalid' };
const SETTINGS_HELP =
  'A setting comes from its flag, or else its environment variable, or else the JSON file that --config or ENGAWA_CONFIG names (engawa.json if it exists), or else its default. `engawa settings` prints the effective values.';

const settingOptions = async (): Promise<CliOptions> => (await import('@engawa/server')).settingOptions();

/** Server code is loaded only when one of these runs. */
const serverSubcommands: readonly Subcommand[] = [
  {
    name: 'serve',
    usage: '[--port N] [--data-dir DIR] [...]',
    summary: 'run the chat server; nothing else has to be installed',
    details: ['Runs until it receives SIGINT or SIGTERM. Every room is a log in the data folder, or in Redis.', SETTINGS_HELP],
    options: settingOptions,
    examples: [
      ['engawa serve', 'on port 3000, with its data in ./engawa-data'],
      ['engawa serve --redis-url redis://localhost', 'on Redis'],
    ],
    exitCodes: { ...EXIT_DONE, ...EXIT_FAILED },
    environment: { ENGAWA_CONFIG: 'the JSON file of settings' },
    run: async (args) => {
      const { serve, settingVariables } = await import('@engawa/server');
      warnOfUnknownVariables(settingVariables());
      return serve(args, process.env);
    },
  },
  {
    name: 'settings',
    usage: '[...]',
    summary: 'print the settings of serve: flag, variable, value and source',
    details: [SETTINGS_HELP],
    options: settingOptions,
    examples: [['engawa settings', 'the settings that serve would use']],
    exitCodes: { ...EXIT_DONE, ...EXIT_FAILED },
    environment: { ENGAWA_CONFIG: 'the JSON file of settings' },
    run: async (args) => {
      const { printSettings, settingVariables } = await import('@engawa/server');
      warnOfUnknownVariables(settingVariables());
      return printSettings(args, process.env);
    },
  },
  {
    name: 'move',
    usage: '--from URL --to URL [--dry-run]',
    summary: 'move all rooms from one store to another, and compare both',
    details: ['A store is a folder, or the URL of a Redis. No server may use either store during the move.'],
    options: {
      from: { value: 'URL', what: 'the store to read' },
      to: { value: 'URL', what: 'the store to fill' },
      'dry-run': { what: 'only print what would be done' },
    },
    examples: [['engawa move --from engawa-data --to redis://localhost', 'to Redis']],
    exitCodes: { ...EXIT_DONE, ...EXIT_FAILED },
    environment: {},
    run: async (args) => (await import('@engawa/server')).move(args, process.env),
  },
  {
    name: 'import',
    usage: 'tutorial --from REDIS_URL [--to URL]',
    summary: "import the rooms and chats of the tutorial's server",
    details: ['Reads the Redis of the tutorial and creates its rooms and chats. A second import of the same data changes nothing.'],
    options: {
      from: { value: 'REDIS_URL', what: "the tutorial's Redis" },
      to: { value: 'URL', what: 'the store to fill; default that of serve' },
      'dry-run': { what: 'only print what would be done' },
    },
    examples: [['engawa import tutorial --from redis://localhost --dry-run', 'print what would be imported']],
    exitCodes: { ...EXIT_DONE, ...EXIT_FAILED },
    environment: {},
    completes: ['tutorial'],
    run: async (args) => (await import('@engawa/server')).importData(args, process.env),
  },
  {
    name: 'trim',
    usage: '[--dry-run] [--room ID] [...]',
    summary: 'remove old entries now, by the retention settings',
    details: [
      'The limits are --retention-max-age, --retention-max-count and --retention-max-bytes, and those that owners set for their rooms.',
      SETTINGS_HELP,
    ],
    options: async () => ({
      'dry-run': { what: 'only print what would be removed' },
      room: { value: 'ID', what: 'only this room' },
      ...(await settingOptions()),
    }),
    examples: [['engawa trim --retention-max-age 90d --dry-run', 'what a limit of 90 days would remove']],
    exitCodes: { ...EXIT_DONE, ...EXIT_FAILED },
    environment: { ENGAWA_CONFIG: 'the JSON file of settings' },
    run: async (args) => (await import('@engawa/server')).trim(args, process.env),
  },
];

const ownSubcommands: readonly Subcommand[] = [
  defineSubcommand(
    {
      name: 'completion',
      usage: 'bash | zsh | fish',
      summary: 'print a completion script for a shell',
      details: [
        'Completes subcommands, options, profiles, and the rooms that were open last, without a request to a server.',
        'The script belongs to the version of the command that printed it.',
      ],
      options: {},
      examples: [
        ['source <(engawa completion bash)', 'in ~/.bashrc'],
        ['source <(engawa completion zsh)', 'in ~/.zshrc, after compinit'],
        ['engawa completion fish > ~/.config/fish/completions/engawa.fish', 'once'],
      ],
      exitCodes: { ...EXIT_DONE, ...EXIT_USAGE },
      environment: {},
      completes: ['bash', 'zsh', 'fish'],
    },
    async ({ positionals: [name = ''] }) => {
      if (name === 'profiles' || name === 'rooms') return printLines(await completionValues(name, process.env).catch(() => []));
      const { completions } = await import('./completion.ts');
      const script = completions.get(name);
      if (script) return printLine((await script(subcommands)).trimEnd());
      console.error('engawa: for which shell, bash, zsh or fish?');
      return 2;
    },
  ),
  {
    name: 'version',
    usage: '',
    summary: 'print the version',
    details: [],
    options: {},
    examples: [],
    exitCodes: EXIT_DONE,
    environment: {},
    run: () => printLine(packageVersion()),
  },
  defineSubcommand(
    {
      name: 'help',
      usage: '[COMMAND]',
      summary: 'print this list, or the help of a command',
      details: [],
      options: {},
      examples: [['engawa help send', 'the help of send']],
      exitCodes: { ...EXIT_DONE, ...EXIT_USAGE },
      environment: {},
    },
    ({ positionals: [name] }) => help(subcommands, name),
  ),
];

export const subcommands: readonly Subcommand[] = [
  ...serverSubcommands.slice(0, 1),
  ...terminal,
  ...serverSubcommands.slice(1),
  ...ownSubcommands,
];

/** A mistyped variable would otherwise have no effect without a notice. */
function warnOfUnknownVariables(settingVariables: readonly string[]): void {
  const known = [...settingVariables, ...subcommands.flatMap(({ environment }) => Object.keys(environment))];
  for (const name of findUnknownVariables(process.env, known))
    console.error(`WARNING: there is no setting ${name}. \`engawa settings\` prints the names of all settings.`);
}

function printLine(text: string): number {
  console.log(text);
  return 0;
}

const printLines = (lines: string[]): number => (lines.length === 0 ? 0 : printLine(lines.join('\n')));
