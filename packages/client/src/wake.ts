const BEAT_MS = 5_000;
const JUMP_MS = 10_000;

type Listen = (event: string, listener: () => void) => void;
interface Page {
  addEventListener?: Listen;
  removeEventListener?: Listen;
  document?: { visibilityState: string; addEventListener: Listen; removeEventListener: Listen };
}

interface Listeners {
  /** It may have slept: what is shown may be behind without anybody having noticed. */
  woke: () => void;
  /** The page may never run again. */
  leaving: () => void;
}

/** Notices sleep and leave, by what a browser tells and by a clock that has jumped. Returns what ends the watch. */
export function watch({ woke, leaving }: Listeners): () => void {
  const page = globalThis as Page;
  const seen = () => {
    if (page.document?.visibilityState === 'visible') woke();
    else leaving();
  };
  const beating = beat(woke);
  page.addEventListener?.('online', woke);
  page.addEventListener?.('pageshow', woke);
  page.addEventListener?.('pagehide', leaving);
  page.document?.addEventListener('visibilitychange', seen);
  return () => {
    clearInterval(beating);
    page.removeEventListener?.('online', woke);
    page.removeEventListener?.('pageshow', woke);
    page.removeEventListener?.('pagehide', leaving);
    page.document?.removeEventListener('visibilitychange', seen);
  };
}

function beat(woke: () => void): ReturnType<typeof setInterval> {
  let last = Date.now();
  return setInterval(() => {
    const now = Date.now();
    if (now - last > JUMP_MS) woke();
    last = now;
  }, BEAT_MS);
}
