const CHECK_INTERVAL_MS = 5_000;
const SLEEP_THRESHOLD_MS = 10_000;

type Listener = (event: { persisted?: boolean }) => void;
interface Target {
  addEventListener?: (event: string, listener: Listener, options: { signal: AbortSignal }) => void;
}
interface BrowserGlobals extends Target {
  document?: Target & { visibilityState: string };
}

interface WakeListeners {
  /** It may have slept: what is shown may be behind without anybody having noticed. */
  onWake: () => void;
  /** The page may never run again. */
  onHide: () => void;
  /** It was left, and is kept to be shown again: frozen, while the browser answers the pings of its connection. */
  onFreeze: () => void;
}

/** Notices sleep and leave, by what a browser tells and by a clock that has jumped. Returns what ends the watch. */
export function detectWake({ onWake, onHide, onFreeze }: WakeListeners): () => void {
  const page = globalThis as BrowserGlobals;
  const abort = new AbortController();
  const on = (target: Target | undefined, event: string, listener: Listener) => target?.addEventListener?.(event, listener, abort);
  let last = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - last > SLEEP_THRESHOLD_MS) onWake();
    last = now;
  }, CHECK_INTERVAL_MS);
  on(page, 'online', onWake);
  on(page, 'pageshow', onWake);
  on(page, 'pagehide', ({ persisted }) => {
    onHide();
    if (persisted) onFreeze();
  });
  on(page.document, 'visibilitychange', () => (page.document?.visibilityState === 'visible' ? onWake() : onHide()));
  return () => {
    clearInterval(timer);
    abort.abort();
  };
}
