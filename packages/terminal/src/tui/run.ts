// Starts the full-screen client and resolves with its exit code.
import type { Screen, ScreenListener } from '../screen/screen.ts';
import { App, type AppOptions } from './app.ts';
import { KeyHandler } from './key-handler.ts';

export interface RunOptions extends AppOptions {
  /** The first room; undefined reopens the rooms of the last run. */
  room: string | undefined;
  /** Takes over the terminal. */
  open: (listener: ScreenListener) => Promise<Screen>;
}

export function runApp({ room, open, ...options }: RunOptions): Promise<number> {
  const app = new App(options);
  const keyboard = new KeyHandler(app);
  return app.run(room, (listener) => open({ ...listener, onInput: (key) => keyboard.handle(key) }));
}
