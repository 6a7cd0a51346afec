const BEAT_MS = 5_000;
const JUMP_MS = 10_000;

type Listener = (event: { persisted?: boolean }) => void;
interface Target {
  addEventListener?: (event: string, listener: Listener, options: { signal: AbortSignal }) => void;
}
interface Page extends Target {
  document?: Target & { visibilityState: string };
}

interface Listeners {
  /** It may have slept: what is shown may be behind without anybody having noticed. */
  woke: () => void;
  /** The page may never run again. */
  leaving: () => void;
  /** It was left, and is kept to be shown again: frozen, while the browser answers the pings of its connection. */
  stored: () => void;
}

/** Notices sleep and leave, by what a browser tells and by a clock that has jumped. Returns what ends the watch. */
export function watch({ woke, leaving, stored }: Listeners): () => void {
  const page = globalThis as Page;
  const ending = new AbortController();
  const on = (target: Target | undefined, event: string, listener: Listener) => target?.addEventListener?.(event, listener, ending);
  let last = Date.now();
  const beating = setInterval(() => {
    const now = Date.now();
    if (now - last > JUMP_MS) woke();
    last = now;
  }, BEAT_MS);
  on(page, 'online', woke);
  on(page, 'pageshow', woke);
  on(page, 'pagehide', ({ persisted }) => {
    leaving();
    if (persisted) stored();
  });
  on(page.document, 'visibilitychange', () => (page.document?.visibilityState === 'visible' ? woke() : leaving()));
  return () => {
    clearInterval(beating);
    ending.abort();
  };
}
