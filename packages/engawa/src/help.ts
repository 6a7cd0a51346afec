import { nearest, type Options, type Subcommand, usageOf } from '@engawa/terminal';
import { version } from './version.ts';

const WIDTH = 80;

/** Prints what there is, or all about one subcommand, and answers the exit code. */
export async function help(subcommands: readonly Subcommand[], name?: string): Promise<number> {
  if (name === undefined) {
    console.log(overview(subcommands));
    return 0;
  }
  const subcommand = subcommands.find((each) => each.name === name);
  if (!subcommand) return unknown(subcommands, name);
  console.log(await pageOf(subcommand));
  return 0;
}

/** Says that there is no such subcommand, and answers the exit code. */
export function unknown(subcommands: readonly Subcommand[], name: string): number {
  const names = subcommands.map((each) => each.name);
  console.error(`engawa: there is no ${JSON.stringify(name)}${nearest(name, names)}\n\n${overview(subcommands)}`);
  return 2;
}

function overview(subcommands: readonly Subcommand[]): string {
  const width = Math.max(...subcommands.map(({ name }) => name.length));
  const rows = subcommands.map(({ name, what }) => `  engawa ${name.padEnd(width)}  ${what}`);
  return [
    `Engawa ${version()}: a chat server that never loses a word, and its terminal client.`,
    '',
    ...rows,
    '',
    'engawa help COMMAND says all about one, with examples.',
  ].join('\n');
}

async function pageOf(subcommand: Subcommand): Promise<string> {
  const { what, about, options, examples, exits, variables } = subcommand;
  const sections = [
    [`${usageOf(subcommand)}\n    ${what}`],
    about.map((paragraph) => wrapped(paragraph)),
    section('Options', rows(Object.entries(await listed(options)))),
    section(
      'Examples',
      examples.map(([command, does]) => `  ${command}\n      ${does}`),
    ),
    section('Exit codes', rows(Object.entries(exits))),
    section('Environment', rows(Object.entries(variables))),
  ];
  return sections.flat().join('\n\n');
}

const section = (title: string, lines: string[]): string[] => (lines.length === 0 ? [] : [`${title}\n${lines.join('\n')}`]);

/** Options as people type them. */
export async function listed(options: Subcommand['options']): Promise<Record<string, string>> {
  const all: Options = typeof options === 'function' ? await options() : options;
  const entries = Object.entries(all).map(([name, { short, value, what }]) => {
    const names = short === undefined ? `--${name}` : `-${short}, --${name}`;
    return [value === undefined ? names : `${names} ${value}`, what];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}

function rows(entries: [string, string][]): string[] {
  const width = Math.min(24, Math.max(0, ...entries.map(([name]) => name.length)));
  return entries.map(([name, what]) => {
    const lines = wrapped(what, WIDTH - width - 4).split('\n');
    const indented = lines.join(`\n${' '.repeat(width + 4)}`);
    return name.length > width ? `  ${name}\n${' '.repeat(width + 4)}${indented}` : `  ${name.padEnd(width)}  ${indented}`;
  });
}

function wrapped(text: string, width = WIDTH): string {
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
