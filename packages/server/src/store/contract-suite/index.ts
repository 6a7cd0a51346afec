/**
 * The contract of store.ts as tests, for any engine and any test runner. What an engine alone promises (its disk, its
 * network) is tested beside that engine.
 */
import type { Store } from '../store.ts';
import { appends, epochs, givens, onces } from './appends.ts';
import { type Check, Clock, type Open, type Test } from './arrange.ts';
import { bytes } from './bytes.ts';
import { forks } from './forks.ts';
import { counts, families, keys } from './keys.ts';
import { leases } from './leases.ts';
import { marks } from './marks.ts';
import { moves } from './moves.ts';
import { erases, pages } from './pages.ts';
import { closing, ends, rooms } from './rooms.ts';
import { strings } from './strings.ts';
import { announcements, subscriptions } from './subscriptions.ts';
import { tickets } from './tickets.ts';
import { ticks } from './ticks.ts';
import { trims } from './trims.ts';
import { usage } from './usage.ts';

/** Registers the whole contract with `test`; `open` answers a new and empty store each time. */
export function testStore({ open, test }: { open: Open; test: Test }): void {
  for (const [noun, sentences] of Object.entries(nouns)) {
    sentences((sentence, run) => void test(`${noun}: ${sentence}`, () => onStore(open, run)));
  }
}

const nouns: Record<string, (check: Check) => void> = {
  append: appends,
  tick: ticks,
  epoch: epochs,
  given: givens,
  once: onces,
  keys,
  family: families,
  counts,
  page: pages,
  bytes,
  erases,
  trim: trims,
  fork: forks,
  ends,
  rooms,
  usage,
  subscribe: subscriptions,
  announce: announcements,
  mark: marks,
  lease: leases,
  ticket: tickets,
  move: moves,
  strings,
  close: closing,
};

async function onStore(open: Open, run: Parameters<Check>[1]): Promise<void> {
  const clock = new Clock();
  const opened: Store[] = [];
  const openAnother = async (): Promise<Store> => {
    const store = await open({ clock: () => clock.now });
    opened.push(store);
    return store;
  };
  try {
    await run(await openAnother(), clock, openAnother);
  } finally {
    for (const store of opened) await store.close();
  }
}
