// The texts of `engawa help`.
import { type CliOptions, didYouMean, type Subcommand, subcommandUsage } from '@engawa/terminal';
import { packageVersion } from './version.ts';

const WIDTH = 80;

/** Prints the overview or the help of one subcommand, and returns the exit code. */
export async function help(subcommands: readonly Subcommand[], name?: string): Promise<number> {
  if (name === undefined) {
    console.log(overview(subcommands));
    return 0;
  }
  const subcommand = subcommands.find((each) => each.name === name);
  if (!subcommand) return reportUnknownCommand(subcommands, name);
  console.log(await helpPage(subcommand));
  return 0;
}

/** Reports an unknown subcommand, and returns the exit code. */
export function reportUnknownCommand(subcommands: readonly Subcommand[], name: string): number {
  const names = subcommands.map((each) => each.name);
  console.error(`engawa: there is no ${JSON.stringify(name)}${didYouMean(name, names)}\n\n${overview(subcommands)}`);
  return 2;
}

function overview(subcommands: readonly Subcommand[]): string {
  const width = Math.max(...subcommands.map(({ name }) => name.length));
  const rows = subcommands.map(({ name, summary }) => `  engawa ${name.padEnd(width)}  ${summary}`);
  return [
    `Engawa ${packageVersion()}: a chat server that never loses a word, and its terminal client.`,
    '',
    ...rows,
    '',
    'engawa help COMMAND explains a command, with examples.',
  ].join('\n');
}

async function helpPage(subcommand: Subcommand): Promise<string> {
  const { summary, details, options, examples, exitCodes, environment } = subcommand;
  const sections = [
    [`${subcommandUsage(subcommand)}\n    ${summary}`],
    details.map((paragraph) => wrapText(paragraph)),
    section('Options', formatRows(Object.entries(await describeOptions(options)))),
    section(
      'Examples',
      examples.map(([command, does]) => `  ${command}\n      ${does}`),
    ),
    section('Exit codes', formatRows(Object.entries(exitCodes))),
    section('Environment', formatRows(Object.entries(environment))),
  ];
  return sections.flat().join('\n\n');
}

const section = (title: string, lines: string[]): string[] => (lines.length === 0 ? [] : [`${title}\n${lines.join('\n')}`]);

/** The options as users type them, with their descriptions. */
export async function describeOptions(options: Subcommand['options']): Promise<Record<string, string>> {
  const all: CliOptions = typeof options === 'function' ? await options() : options;
  const entries = Object.entries(all).map(([name, { short, value, what }]) => {
    const names = short === undefined ? `--${name}` : `-${short}, --${name}`;
    return [value === undefined ? names : `${names} ${value}`, what];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}

function formatRows(entries: [string, string][]): string[] {
  const width = Math.min(24, Math.max(0, ...entries.map(([name]) => name.length)));
  return entries.map(([name, what]) => {
    const lines = wrapText(what, WIDTH - width - 4).split('\n');
    const indented = lines.join(`\n${' '.repeat(width + 4)}`);
    return name.length > width ? `  ${name}\n${' '.repeat(width + 4)}${indented}` : `  ${name.padEnd(width)}  ${indented}`;
  });
}

function wrapText(text: string, width = WIDTH): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
