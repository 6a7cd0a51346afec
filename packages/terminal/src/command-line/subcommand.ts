// Declares a subcommand (options, help, exit codes) and parses its command line.
import { parseArgs } from 'node:util';
import { didYouMean } from '../text/did-you-mean.ts';
import { CliError } from './cli-error.ts';
import type { ProcessIO } from './process-io.ts';

/** An option of a subcommand. The key in `CliOptions` is its long name. */
export interface CliOption {
  short?: string;
  /** Placeholder of the value, such as `NAME`. An option without it is a switch. */
  value?: string;
  what: string;
}

export type CliOptions = Readonly<Record<string, CliOption>>;

/** A subcommand. Its help, its shell completion and its section of the man page are generated from this. */
export interface Subcommand {
  name: string;
  /** The arguments after the name, such as `ROOM [TEXT...]`. */
  usage: string;
  /** One line. */
  summary: string;
  /** Paragraphs of the help text. */
  details: readonly string[];
  options: CliOptions | (() => Promise<CliOptions>);
  /** Command lines, each with an explanation. */
  examples: readonly (readonly [command: string, what: string])[];
  /** Possible exit codes, each with its meaning. */
  exitCodes: Readonly<Record<number, string>>;
  /** Environment variables that it reads, each with its meaning. */
  environment: Readonly<Record<string, string>>;
  /** What shell completion offers for the first argument, if anything. */
  completes?: 'rooms' | readonly string[];
  run: (args: string[], io: ProcessIO) => number | Promise<number>;
}

/** The parsed arguments of a subcommand. */
export interface Arguments {
  positionals: string[];
  /** Whether the switch is given. */
  has: (option: string) => boolean;
  /** The value of the option; undefined when it is not given. */
  get: (option: string) => string | undefined;
}

/** The command line is invalid. The message explains why. Exit code 2. */
export class UsageError extends CliError {
  override readonly name: string = 'UsageError';

  constructor(message: string, options?: ErrorOptions) {
    super(message, 2, options);
  }
}

export const subcommandUsage = ({ name, usage }: Pick<Subcommand, 'name' | 'usage'>): string => `engawa ${name} ${usage}`.trim();

/** Creates a subcommand that parses its arguments. It prints a thrown `CliError` and returns its exit code. */
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

/** @throws {UsageError} for an unknown option or an option without its value. */
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
