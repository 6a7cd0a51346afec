import { columnsOf, graphemes } from '../../text/columns.ts';
import type { Ground, Row, Span } from '../../text/span.ts';

export const widthOf = (row: Row): number => row.reduce((sum, { text }) => sum + columnsOf(text), 0);

/** Cut and filled up to exactly so many columns. */
export function exactly(row: Row, columns: number, on?: Ground): Row {
  const cut: Span[] = [];
  let left = columns;
  for (const span of row) {
    if (left <= 0) break;
    const text = beginningOf(span.text, left);
    cut.push({ ...span, text, ...(on && { on: span.on ?? on }) });
    left -= columnsOf(text);
    if (text !== span.text) break;
  }
  if (left > 0) cut.push({ text: ' '.repeat(left), ...(on && { on }) });
  return cut;
}

/** One row with something at each end; where both do not fit, the right end goes. */
export function ends(left: Row, right: Row, columns: number, on?: Ground): Row {
  const space = columns - widthOf(left) - widthOf(right);
  return space < 1 ? exactly(left, columns, on) : exactly([...left, { text: ' '.repeat(space) }, ...right], columns, on);
}

function beginningOf(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let left = columns;
  let cut = '';
  for (const each of graphemes(text)) {
    left -= each.columns;
    if (left < 0) break;
    cut += each.text;
  }
  return cut;
}
