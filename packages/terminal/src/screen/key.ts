import type { ScreenPosition } from './frame.ts';

export type KeyName =
  | 'enter'
  | 'tab'
  | 'escape'
  | 'backspace'
  | 'delete'
  | 'insert'
  | 'up'
  | 'down'
  | 'left'
  | 'right'
  | 'home'
  | 'end'
  | 'pageup'
  | 'pagedown'
  | `f${number}`;

/** What somebody did at the terminal. */
export type InputEvent =
  /** Characters as they were typed or composed; never a control character. */
  | { kind: 'text'; text: string }
  /** Pasted, in one piece: may hold newlines. `isCut`: it was longer than a terminal may hand over, and the rest is lost. */
  | { kind: 'paste'; text: string; isTruncated?: boolean }
  /** A named key, or a letter held with ctrl or alt, which is its own name: `c` for ctrl+c. */
  | { kind: 'key'; name: KeyName | (string & {}); ctrl?: boolean; alt?: boolean; shift?: boolean }
  | { kind: 'mouse'; action: 'press' | 'release' | 'wheel-up' | 'wheel-down'; position: ScreenPosition }
  /** Whether the terminal's window is the one that is looked at. */
  | { kind: 'focus'; isFocused: boolean };
