import { help, unknown } from './help.ts';
import { endWithShellOfNpm } from './npm-shell.ts';
import { subcommands } from './subcommands.ts';

const aliases = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
]);

endWithShellOfNpm(process.env);
const [typed = 'help', ...args] = process.argv.slice(2);
const asked = aliases.get(typed) ?? typed;
const subcommand = subcommands.find(({ name }) => name === asked);
process.exitCode = subcommand ? await run(subcommand, args).catch(failed) : unknown(subcommands, asked);

async function run({ name, run: begin }: (typeof subcommands)[number], words: string[]): Promise<number> {
  if (name !== 'help' && asksForHelp(words)) return help(subcommands, name);
  return begin(words, process);
}

/** What comes after `--` is not the command's. */
function asksForHelp(words: string[]): boolean {
  const own = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
  return own.includes('--help') || own.includes('-h');
}

/** Nobody foresaw it: the stack is for who wants to report it. */
function failed(error: unknown): number {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  console.error(`engawa: ${process.env.ENGAWA_LOG === 'debug' ? stack : message}`);
  return 1;
}
