// Fits rows of styled text to an exact width.
import { displayWidth, measureGraphemes } from '../../text/display-width.ts';
import type { Background, Row, Span } from '../../text/styled-span.ts';

export const rowWidth = (row: Row): number => row.reduce((sum, { text }) => sum + displayWidth(text), 0);

/** Cuts or pads a row to exactly this many columns. */
export function fitRow(row: Row, columns: number, background?: Background): Row {
  const cut: Span[] = [];
  let left = columns;
  for (const span of row) {
    if (left <= 0) break;
    const text = prefixOfWidth(span.text, left);
    cut.push({ ...span, text, ...(background && { background: span.background ?? background }) });
    left -= displayWidth(text);
    if (text !== span.text) break;
  }
  if (left > 0) cut.push({ text: ' '.repeat(left), ...(background && { background }) });
  return cut;
}

/** One row with text at both ends. If both do not fit, the right one is dropped. */
export function alignEnds(left: Row, right: Row, columns: number, background?: Background): Row {
  const space = columns - rowWidth(left) - rowWidth(right);
  return space < 1 ? fitRow(left, columns, background) : fitRow([...left, { text: ' '.repeat(space) }, ...right], columns, background);
}

function prefixOfWidth(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let left = columns;
  let cut = '';
  for (const each of measureGraphemes(text)) {
    left -= each.columns;
    if (left < 0) break;
    cut += each.text;
  }
  return cut;
}
