import { readFileSync } from 'node:fs';

interface Subcommand {
  usage: string;
  what: string;
  run: (args: string[]) => number | Promise<number>;
}

/** Each side of the program is loaded only when it is asked for. */
const subcommands: Record<string, Subcommand> = {
  serve: {
    usage: 'serve [--port N] [--data-dir DIR] [...]',
    what: 'run the chat server; nothing else has to be installed',
    run: async (args) => (await import('@engawa/server')).serve(args, process.env),
  },
  chat: {
    usage: 'chat ROOM --as NAME [--server URL]',
    what: 'join or open a room and talk, line by line; works in a pipe too',
    run: async (args) => (await import('@engawa/terminal')).chat(args, process),
  },
  settings: {
    usage: 'settings [...]',
    what: 'print the settings of serve: flag, variable, value, where it came from',
    run: async (args) => (await import('@engawa/server')).printSettings(args, process.env),
  },
  move: {
    usage: 'move --from URL --to URL [--dry-run]',
    what: 'move all rooms from one store to another, and compare both',
    run: async (args) => (await import('@engawa/server')).move(args, process.env),
  },
  import: {
    usage: 'import tutorial --from REDIS_URL [--to URL]',
    what: "bring in what the tutorial's server wrote; --dry-run says what it would do",
    run: async (args) => (await import('@engawa/server')).importData(args, process.env),
  },
  trim: {
    usage: 'trim [--dry-run] [--room ID] [...]',
    what: 'let go now of what is not to be kept, or only say what would go',
    run: async (args) => (await import('@engawa/server')).trim(args, process.env),
  },
  version: { usage: 'version', what: 'print the version', run: () => say(version()) },
  help: { usage: 'help', what: 'print this', run: () => say(help()) },
};

const aliases: Record<string, string> = { '--help': 'help', '-h': 'help', '--version': 'version', '-v': 'version' };

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

function help(): string {
  const width = Math.max(...Object.values(subcommands).map(({ usage }) => usage.length));
  const rows = Object.values(subcommands).map(({ usage, what }) => `  engawa ${usage.padEnd(width)}  ${what}`);
  return `Engawa ${version()}: a chat server that never loses a word, and its terminal client.\n\n${rows.join('\n')}`;
}

function say(text: string): number {
  console.log(text);
  return 0;
}

function unknown(name: string): number {
  console.error(`engawa: there is no "${name}".\n\n${help()}`);
  return 2;
}

const [asked = 'help', ...args] = process.argv.slice(2);
const name = args.includes('--help') ? 'help' : (aliases[asked] ?? asked);
const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
process.exitCode = subcommand ? await subcommand.run(args) : unknown(asked);
