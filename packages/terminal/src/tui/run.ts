import type { Screen, ScreenListener } from '../screen/screen.ts';
import { App, type AppOptions } from './app.ts';
import { KeyHandler } from './key-handler.ts';

export interface RunOptions extends AppOptions {
  /** The room to begin with; those of last time when not given. */
  room: string | undefined;
  /** Takes the terminal. */
  open: (listener: ScreenListener) => Promise<Screen>;
}

/** Runs the full-screen client, and resolves with the exit code. */
export function runApp({ room, open, ...options }: RunOptions): Promise<number> {
  const app = new App(options);
  const keyboard = new KeyHandler(app);
  return app.run(room, (listener) => open({ ...listener, onInput: (key) => keyboard.handle(key) }));
}
