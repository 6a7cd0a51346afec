/**
 * The contract of store.ts as tests, for any engine and any test runner. What an engine alone promises (its disk, its
 * network) is tested beside that engine.
 */
import type { Store } from '../store.ts';
import { appends, epochs, givens, onces } from './appends.ts';
import { type Check, Clock, type Open, type Test } from './arrange.ts';
import { forks } from './forks.ts';
import { counts, families, keys } from './keys.ts';
import { leases } from './leases.ts';
import { marks } from './marks.ts';
import { erases, pages } from './pages.ts';
import { closing, ends, rooms } from './rooms.ts';
import { strings } from './strings.ts';
import { announcements, subscriptions } from './subscriptions.ts';
import { tickets } from './tickets.ts';
import { ticks } from './ticks.ts';
import { trims } from './trims.ts';

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
  erases,
  trim: trims,
  fork: forks,
  ends,
  rooms,
  subscribe: subscriptions,
  announce: announcements,
  mark: marks,
  lease: leases,
  ticket: tickets,
  strings,
  close: closing,
};

async function onStore(open: Open, run: (store: Store, clock: Clock) => Promise<void>): Promise<void> {
  const clock = new Clock();
  const store = await open({ clock: () => clock.now });
  try {
    await run(store, clock);
  } finally {
    await store.close();
  }
}
