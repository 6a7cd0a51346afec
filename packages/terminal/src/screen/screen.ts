import type { Frame, Size } from './frame.ts';
import type { InputEvent } from './key.ts';

export interface ScreenListener {
  onInput: (key: InputEvent) => void;
  onResize: (size: Size) => void;
  /** The terminal is gone, or the program was told to end: what follows is not shown to anybody. */
  onClosed: () => void;
}

/** A terminal that is drawn upon as a whole. */
export interface Screen {
  readonly size: Size;
  /**
   * Asks for a drawing. Whatever asks how often, `view` is called for at most thirty frames a second, and not before the terminal has
   * taken the last one: at once when nothing was drawn for a while, and soon after a key, so that an echo waits for nobody.
   */
  draw: (render: (size: Size) => Frame) => void;
  /** Draws anew all that is shown, whatever the terminal shows by now. */
  redraw: () => void;
  /** What the window or the tab is called; safe text. */
  setTitle: (text: string) => void;
  bell: () => void;
  /** Hands a text to the clipboard of the terminal, which may do nothing with it; false where it is known that there is none. */
  copyToClipboard: (text: string) => boolean;
  /** Leaves the terminal to another program until this resolves, and takes it again; reads and draws nothing meanwhile. */
  releaseWhile: (use: () => Promise<unknown>) => Promise<void>;
  /** Leaves the terminal as it was; may be called twice. */
  close: () => void;
}
