import { parseArgs } from 'node:util';
import { didYouMean } from '../text/did-you-mean.ts';
import { CliError } from './cli-error.ts';
import type { ProcessIO } from './process-io.ts';

/** An option of a subcommand, by its long name. */
export interface CliOption {
  short?: string;
  /** What its value is, as `NAME`; without, it is a switch. */
  value?: string;
  what: string;
}

export type CliOptions = Readonly<Record<string, CliOption>>;

/** One thing that the command does: its help, its completion and its page in the manual come from here, too. */
export interface Subcommand {
  name: string;
  /** What may follow its name, as `ROOM [TEXT...]`. */
  usage: string;
  /** In one line. */
  summary: string;
  /** Paragraphs that teach it. */
  details: readonly string[];
  options: CliOptions | (() => Promise<CliOptions>);
  /** What to type, and what that does. */
  examples: readonly (readonly [command: string, what: string])[];
  /** Exit codes that it may end with, and what each says. */
  exitCodes: Readonly<Record<number, string>>;
  /** Environment variables that it reads. */
  environment: Readonly<Record<string, string>>;
  /** What its first word is, when that can be completed. */
  completes?: 'rooms' | readonly string[];
  run: (args: string[], io: ProcessIO) => number | Promise<number>;
}

/** What was typed after the name of a subcommand, as its options say. */
export interface Arguments {
  positionals: string[];
  /** Whether a switch is on. */
  has: (option: string) => boolean;
  /** The value of an option. */
  get: (option: string) => string | undefined;
}

/** The command line is wrong; the message says how. */
export class UsageError extends CliError {
  override readonly name: string = 'UsageError';

  constructor(message: string, options?: ErrorOptions) {
    super(message, 2, options);
  }
}

export const subcommandUsage = ({ name, usage }: Pick<Subcommand, 'name' | 'usage'>): string => `engawa ${name} ${usage}`.trim();

/** A subcommand whose arguments are read by its options. What it throws as a `Failure` is told to people, and is its exit code. */
export function defineSubcommand(
  subcommand: Omit<Subcommand, 'run' | 'options'> & { options: CliOptions },
  run: (args: Arguments, io: ProcessIO) => number | Promise<number>,
): Subcommand {
  return {
    ...subcommand,
    async run(args, io) {
      try {
        return await run(parseArguments(subcommand.options, args), io);
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        const { sanitizeLine } = await import('../text/sanitize.ts');
        const help = error instanceof UsageError ? `See: engawa ${subcommand.name} --help\n` : '';
        if (error.message !== '') io.stderr.write(`engawa: ${sanitizeLine(error.message)}\n${help}`);
        return error.exitCode;
      }
    },
  };
}

/** @throws {UsageError} for an option that there is not, or that lacks its value. */
function parseArguments(options: CliOptions, args: string[]): Arguments {
  const types = Object.entries(options).map(([option, { short, value }]) => {
    const type: 'string' | 'boolean' = value === undefined ? 'boolean' : 'string';
    return [option, { type, ...(short !== undefined && { short }) }] as const;
  });
  try {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: Object.fromEntries(types) });
    const valueByOption = new Map(Object.entries(values));
    return {
      positionals,
      has: (option) => valueByOption.get(option) === true,
      get(option) {
        const value = valueByOption.get(option);
        return typeof value === 'string' ? value : undefined;
      },
    };
  } catch (error) {
    throw new UsageError(usageErrorText(error as NodeJS.ErrnoException, options), { cause: error });
  }
}

function usageErrorText({ code, message }: NodeJS.ErrnoException, options: CliOptions): string {
  const [, option = ''] = /'(-[^' <,]*)/.exec(message) ?? [];
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const [, withDash] = /'(--[^']+=-)XYZ'/.exec(message) ?? [];
    if (withDash !== undefined) return `${option}: its value is missing; one that begins with - is written ${withDash}...`;
    return `${option}: ${/argument/.test(message) ? 'its value is missing' : 'takes no value'}`;
  }
  const near = didYouMean(
    option,
    Object.keys(options).map((each) => `--${each}`),
  );
  return `there is no option ${option}${near}${near === '' ? '.' : ''} What begins with - and is no option comes after --`;
}
