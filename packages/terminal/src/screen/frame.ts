import type { Row } from '../text/styled-span.ts';

/** In columns and rows of characters. */
export interface Size {
  columns: number;
  rows: number;
}

/** A place on the screen, from 0 at the top left. */
export interface ScreenPosition {
  column: number;
  row: number;
}

/** All that a screen shows. */
export interface Frame {
  /** From the top; what lacks is empty. */
  rows: readonly Row[];
  /** Where one types, and an input method opens its window; hidden without. */
  cursor?: ScreenPosition | undefined;
}
