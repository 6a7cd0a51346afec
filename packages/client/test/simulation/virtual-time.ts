/** Virtual time: replaces timers and clocks, so that time passes only on demand. */
import { bindToCurrentPage } from './browser.ts';

/**
 * Everything that waits, in the client and in the server, uses these globals. So a run is one sequence of callbacks, the same
 * every time, and an hour takes only as long as its callbacks.
 */
export interface VirtualTime {
  /** Milliseconds since the start. */
  readonly now: number;
  /** Lets this many milliseconds pass. */
  advance(milliseconds: number): Promise<void>;
  /** Restores the real time. */
  restore(): void;
}

interface Timer {
  at: number;
  every: number | undefined;
  run: () => void;
}

const EPOCH_MS = 1_700_000_000_000;
const realSetImmediate = setImmediate;

export function startVirtualTime(random: () => number): VirtualTime {
  const real = { setTimeout, clearTimeout, setInterval, clearInterval };
  const { now: realNow } = Date;
  const { random: realRandom } = Math;
  const timers = new Map<number, Timer>();
  let now = 0;
  let lastId = 0;

  const addTimer = (run: () => void, milliseconds = 0, every?: number) => {
    const wait = Number.isFinite(milliseconds) ? Math.max(milliseconds, 0) : 0;
    lastId += 1;
    timers.set(lastId, { at: now + wait, every, run: bindToCurrentPage(run) });
    const timer = lastId;
    return { unref: () => timer, ref: () => timer, [Symbol.toPrimitive]: () => timer };
  };
  const removeTimer = (timer: unknown) => {
    if (timer !== undefined && timer !== null) timers.delete(Number(timer));
  };
  Object.assign(globalThis, {
    setTimeout: (run: (...args: unknown[]) => void, milliseconds?: number, ...args: unknown[]) =>
      addTimer(() => run(...args), milliseconds),
    setInterval: (run: () => void, milliseconds = 1) => addTimer(run, milliseconds, Math.max(milliseconds, 1)),
    clearTimeout: removeTimer,
    clearInterval: removeTimer,
  });
  Date.now = () => EPOCH_MS + Math.floor(now);
  performance.now = () => now;
  Math.random = random;

  /** Of several timers for the same moment, the one that was created first. */
  function nextTimer(until: number): [number, Timer] | undefined {
    let earliest: [number, Timer] | undefined;
    for (const entry of timers) if (entry[1].at <= until && (!earliest || entry[1].at < earliest[1].at)) earliest = entry;
    return earliest;
  }

  return {
    get now() {
      return now;
    },
    async advance(milliseconds) {
      const until = now + milliseconds;
      await runMicrotasks();
      for (let due = nextTimer(until); due; due = nextTimer(until)) {
        const [id, timer] = due;
        now = Math.max(now, timer.at);
        if (timer.every === undefined) timers.delete(id);
        else timer.at = now + timer.every;
        timer.run();
        await runMicrotasks();
      }
      now = until;
    },
    restore() {
      Object.assign(globalThis, real);
      Date.now = realNow;
      Math.random = realRandom;
      // The original is on the prototype.
      Reflect.deleteProperty(performance, 'now');
    },
  };
}

/** Resolves when no microtask is left. */
const runMicrotasks = (): Promise<void> => new Promise((resolve) => realSetImmediate(resolve));
