// Generates the man page engawa(1).
import { type Subcommand, subcommandUsage } from '@engawa/terminal';
import { describeOptions } from './help.ts';
import { packageVersion } from './version.ts';

/** The man page in roff. It has the same source as the help. */
export async function manPage(subcommands: readonly Subcommand[]): Promise<string> {
  const sections = await Promise.all(subcommands.map(subcommandSection));
  return `${[
    `.TH ENGAWA 1 "" "engawa ${packageVersion()}" "Engawa"`,
    '.SH NAME',
    'engawa \\- a chat server that never loses a word, and its terminal client',
    '.SH SYNOPSIS',
    ...subcommands.flatMap(synopsisLines),
    '.SH DESCRIPTION',
    roffText('Every room is one ordered log. Each command below does one thing; engawa help COMMAND says the same as its part here.'),
    ...sections.flat(),
    ...definitionSection('ENVIRONMENT', Object.assign({}, ...subcommands.map(({ environment }) => environment)) as Record<string, string>),
  ].join('\n')}\n`;
}

const synopsisLines = ({ name, usage }: Subcommand): string[] => [
  '.br',
  `.B engawa ${escapeRoff(name)}`,
  ...(usage === '' ? [] : [roffText(usage)]),
];

async function subcommandSection(subcommand: Subcommand): Promise<string[]> {
  const { name, summary, details, options, examples, exitCodes } = subcommand;
  return [
    `.SH ${escapeRoff(name.toUpperCase())}`,
    `.B ${escapeRoff(subcommandUsage(subcommand))}`,
    '.PP',
    roffText(`${summary}.`),
    ...details.flatMap((paragraph) => ['.PP', roffText(paragraph)]),
    ...definitionList(await describeOptions(options)),
    ...examples.flatMap(([command, does]) => ['.PP', roffText(`${does}:`), '.RS', '.nf', roffText(command), '.fi', '.RE']),
    '.PP',
    'Exit codes:',
    ...definitionList(exitCodes),
  ];
}

const definitionSection = (title: string, entries: Record<string, string>): string[] => [`.SH ${title}`, ...definitionList(entries)];

const definitionList = (entries: Record<string, string>): string[] =>
  Object.entries(entries).flatMap(([name, what]) => ['.TP', `.B ${escapeRoff(name)}`, roffText(what)]);

/** In roff, a line that begins with a dot or a quote is a request. */
const roffText = (line: string): string => escapeRoff(line).replace(/^(?=[.'])/, '\\&');

const escapeRoff = (line: string): string => line.replaceAll('\\', '\\e').replaceAll('-', '\\-');
