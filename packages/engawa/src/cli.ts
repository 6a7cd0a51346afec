// Entry point of the `engawa` command: finds the subcommand and runs it.
import { help, reportUnknownCommand } from './help.ts';
import { exitWithNpmShell } from './npm-shell.ts';
import { subcommands } from './subcommands.ts';

const aliases = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
]);

exitWithNpmShell(process.env);
const [commandName = 'help', ...args] = process.argv.slice(2);
const resolvedName = aliases.get(commandName) ?? commandName;
const subcommand = subcommands.find(({ name }) => name === resolvedName);
process.exitCode = subcommand ? await run(subcommand, args).catch(reportCrash) : reportUnknownCommand(subcommands, resolvedName);

async function run({ name, run: runSubcommand }: (typeof subcommands)[number], args: string[]): Promise<number> {
  if (name !== 'help' && isHelpRequested(args)) return help(subcommands, name);
  return runSubcommand(args, process);
}

/** Arguments after `--` are not options. */
function isHelpRequested(args: string[]): boolean {
  const ownArgs = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  return ownArgs.includes('--help') || ownArgs.includes('-h');
}

/** For unexpected errors. With `ENGAWA_LOG_LEVEL=debug` it prints the stack, for a bug report. */
function reportCrash(error: unknown): number {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  console.error(`engawa: ${process.env.ENGAWA_LOG_LEVEL === 'debug' ? stack : message}`);
  return 1;
}
