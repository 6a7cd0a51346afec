// Types of terminal input: keys, text, pastes, mouse and focus events.
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

export type InputEvent =
  /** Typed or composed characters; never a control character. */
  | { kind: 'text'; text: string }
  /** One paste; may contain line breaks. `isTruncated`: it exceeded the limit, and the rest was dropped. */
  | { kind: 'paste'; text: string; isTruncated?: boolean }
  /** A named key, or a letter with ctrl or alt, whose name is the letter: `c` for ctrl+c. */
  | { kind: 'key'; name: KeyName | (string & {}); ctrl?: boolean; alt?: boolean; shift?: boolean }
  | { kind: 'mouse'; action: 'press' | 'release' | 'wheel-up' | 'wheel-down'; position: ScreenPosition }
  /** Whether the window of the terminal has the focus. */
  | { kind: 'focus'; isFocused: boolean };
