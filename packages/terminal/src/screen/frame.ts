// Types of a screen frame: its size, its rows and the cursor position.
import type { Row } from '../text/styled-span.ts';

/** In character cells. */
export interface Size {
  columns: number;
  rows: number;
}

/** Zero-based, from the top left. */
export interface ScreenPosition {
  column: number;
  row: number;
}

/** The content of the whole screen. */
export interface Frame {
  /** From the top; missing rows are empty. */
  rows: readonly Row[];
  /** Where the user types and an input method opens its window. Undefined hides the cursor. */
  cursor?: ScreenPosition | undefined;
}
