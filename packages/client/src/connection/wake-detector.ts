/** The wake detector: notices sleep and page life-cycle changes. */

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
  /** The computer or page may have slept: the connection may be dead without a close event. */
  onWake: () => void;
  /** The page may never run again. */
  onHide: () => void;
  /** The page is in the back/forward cache: it is frozen, but the browser still answers the pings of its connection. */
  onFreeze: () => void;
}

/** Detects sleep and page changes, by browser events and by a clock that jumps. Returns a function that stops it. */
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
