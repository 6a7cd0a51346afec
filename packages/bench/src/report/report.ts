import type { Plot } from './svg-plot.ts';

export type Cell = string | number;

export interface Column {
  name: string;
  unit?: string;
}

export interface Table {
  title: string;
  /** How it was measured: what a reader must know to believe a figure. */
  note: string;
  columns: Column[];
  rows: Cell[][];
  plot?: Plot;
}

export interface Report {
  machine: Record<string, string>;
  tables: Table[];
}

const LINE = 110;

export const asText = ({ machine, tables }: Report): string =>
  [
    pad(Object.entries(machine)).join('\n'),
    ...tables.map(({ title, note, columns, rows }) => [title, '', ...pad([columns.map(heading), ...rows]), '', wrap(note)].join('\n')),
  ].join('\n\n\n');

export const asMarkdown = ({ machine, tables }: Report, level = '##'): string =>
  [
    Object.entries(machine)
      .map(([name, value]) => `- ${name}: ${value}`)
      .join('\n'),
    ...tables.map(({ title, note, columns, rows }) => `${level} ${title}\n\n${markdownTable(columns, rows)}\n\n${wrap(note)}`),
  ].join('\n\n');

const SECTION_END = '<!-- /bench -->';

/** A page with the report in its place: that of one scenario, where it is named, or that of several. */
export function withSection(page: string, report: Report, scenario?: string): string {
  const begin = `<!-- bench: made by npm run bench${scenario === undefined ? '' : ` -- ${scenario}`} -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf(SECTION_END, from);
  if (from < 0 || to < 0) throw new Error(`The page has no place for the report: "${begin}" and, below, "${SECTION_END}".`);
  return `${page.slice(0, from)}${begin}

${asMarkdown(report, '###')}

${page.slice(to)}`;
}

/** What the system did not tell, and what never came, is null. */
export const asJson = (report: Report): string => `${JSON.stringify(report, null, 2)}\n`;

function markdownTable(columns: Column[], rows: Cell[][]): string {
  const rule = columns.map((_, index) => (isNumeric(rows, index) ? '---:' : '---'));
  return [columns.map(heading), rule, ...rows.map((row) => row.map(show))].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const heading = ({ name, unit }: Column): string => (unit === undefined ? name : `${name}, ${unit}`);
const isNumeric = (rows: Cell[][], index: number): boolean => rows.some((row) => typeof row[index] === 'number');

function show(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (Number.isNaN(cell)) return '–';
  if (!Number.isFinite(cell)) return 'never';
  const digits = Number.isInteger(cell) || cell >= 100 ? 0 : cell >= 10 ? 1 : 2;
  return cell.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Columns of equal width, figures to the right. */
function pad(rows: Cell[][]): string[] {
  const shown = rows.map((row) => row.map(show));
  const widths = (shown[0] ?? []).map((_, index) => Math.max(...shown.map((row) => row[index]?.length ?? 0)));
  return shown.map((row) =>
    row
      .map((cell, index) => align(cell, widths[index] ?? 0, isNumeric(rows, index)))
      .join('  ')
      .trimEnd(),
  );
}

const align = (cell: string, width: number, isFigure: boolean): string => (isFigure ? cell.padStart(width) : cell.padEnd(width));

function wrap(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= LINE) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}
