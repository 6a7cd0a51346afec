import { type Subcommand, usageOf } from '@engawa/terminal';
import { listed } from './help.ts';
import { version } from './version.ts';

/** The page of the manual, in roff: made of the same table as the help. */
export async function manPage(subcommands: readonly Subcommand[]): Promise<string> {
  const sections = await Promise.all(subcommands.map(sectionOf));
  return `${[
    `.TH ENGAWA 1 "" "engawa ${version()}" "Engawa"`,
    '.SH NAME',
    'engawa \\- a chat server that never loses a word, and its terminal client',
    '.SH SYNOPSIS',
    ...subcommands.flatMap(synopsisOf),
    '.SH DESCRIPTION',
    text('Every room is one ordered log. Each command below does one thing; engawa help COMMAND says the same as its part here.'),
    ...sections.flat(),
    ...mapped('ENVIRONMENT', Object.assign({}, ...subcommands.map(({ variables }) => variables)) as Record<string, string>),
  ].join('\n')}\n`;
}

const synopsisOf = ({ name, usage }: Subcommand): string[] => ['.br', `.B engawa ${escaped(name)}`, ...(usage === '' ? [] : [text(usage)])];

async function sectionOf(subcommand: Subcommand): Promise<string[]> {
  const { name, what, about, options, examples, exits } = subcommand;
  return [
    `.SH ${escaped(name.toUpperCase())}`,
    `.B ${escaped(usageOf(subcommand))}`,
    '.PP',
    text(`${what}.`),
    ...about.flatMap((paragraph) => ['.PP', text(paragraph)]),
    ...listOf(await listed(options)),
    ...examples.flatMap(([command, does]) => ['.PP', text(`${does}:`), '.RS', '.nf', text(command), '.fi', '.RE']),
    '.PP',
    'Exit codes:',
    ...listOf(exits),
  ];
}

const mapped = (title: string, entries: Record<string, string>): string[] => [`.SH ${title}`, ...listOf(entries)];

const listOf = (entries: Record<string, string>): string[] =>
  Object.entries(entries).flatMap(([name, what]) => ['.TP', `.B ${escaped(name)}`, text(what)]);

/** A line that begins with a dot or a quote would be a request. */
const text = (line: string): string => escaped(line).replace(/^(?=[.'])/, '\\&');

const escaped = (line: string): string => line.replaceAll('\\', '\\e').replaceAll('-', '\\-');
