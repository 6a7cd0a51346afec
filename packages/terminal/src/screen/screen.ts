// The interface of a screen that is drawn frame by frame.
import type { Frame, Size } from './frame.ts';
import type { InputEvent } from './key.ts';

export interface ScreenListener {
  onInput: (key: InputEvent) => void;
  onResize: (size: Size) => void;
  /** The terminal is gone, or the process received a signal to end. Nothing is drawn after this. */
  onClosed: () => void;
}

export interface Screen {
  readonly size: Size;
  /**
   * Requests a frame. `render` is called at most 30 times a second, and not before the terminal has taken the previous frame. The
   * first frame after a pause comes at once. A frame after a key comes sooner, so that typed text appears without delay.
   */
  draw: (render: (size: Size) => Frame) => void;
  /** Draws the whole screen, whatever the terminal shows now. */
  redraw: () => void;
  /** Sets the title of the window or tab. The text must be sanitized. */
  setTitle: (text: string) => void;
  bell: () => void;
  /** Sends a text to the clipboard through the terminal, which may ignore it. False if the terminal is known to have none. */
  copyToClipboard: (text: string) => boolean;
  /** Gives the terminal to another program until the promise of `use` settles. Reads and draws nothing during that time. */
  releaseWhile: (use: () => Promise<unknown>) => Promise<void>;
  /** Restores the terminal; may be called twice. */
  close: () => void;
}
