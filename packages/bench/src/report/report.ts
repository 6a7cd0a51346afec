// A report as text, Markdown and JSON.
import type { Plot } from './svg-plot.ts';

export type Cell = string | number;

export interface Column {
  name: string;
  unit?: string;
}

export interface Table {
  title: string;
  /** How it was measured. */
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

export const asMarkdown = ({ machine, tables }: Report): string =>
  [
    Object.entries(machine)
      .map(([name, value]) => `- ${name}: ${value}`)
      .join('\n'),
    ...tables.map(({ title, note, columns, rows }) => `## ${title}\n\n${markdownTable(columns, rows)}\n\n${wrap(note)}`),
  ].join('\n\n');

/** Unknown and infinite figures are null. */
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

/** Columns of equal width, figures aligned right. */
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
