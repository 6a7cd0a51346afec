/**
 * The store contract as tests, for any engine and any test runner. What only one engine promises (about its disk or network) is
 * tested with that engine.
 */
import type { Store } from '@engawa/server';
import { appendTests, epochTests, expectedVersionTests, idempotencyKeyTests } from './appends.ts';
import { clockOrderTests } from './clock-order.ts';
import { newEpochTests } from './epochs.ts';
import { exportImportTests } from './export-import.ts';
import { type DefineTest, ManualClock, type OpenStore, type RegisterTest } from './fixtures.ts';
import { countTests, familyTests, keyTests } from './keys.ts';
import { leaseTests } from './leases.ts';
import { markTests } from './marks.ts';
import { eraseTests, pageTests } from './pages.ts';
import { closeTests, roomEndTests, roomListTests } from './rooms.ts';
import { secretTests } from './secret.ts';
import { byteCountTests } from './size-accounting.ts';
import { stringSafetyTests } from './string-safety.ts';
import { publishTests, subscriptionTests } from './subscriptions.ts';
import { ticketTests } from './tickets.ts';
import { trimTests } from './trims.ts';
import { usageTests } from './usage.ts';

/** Registers all conformance tests with `test`; `open` must return a new, empty store each time. */
export function testStore({ open, test }: { open: OpenStore; test: RegisterTest }): void {
  for (const [topic, defineTests] of Object.entries(TOPICS)) {
    defineTests((title, run) => void test(`${topic}: ${title}`, () => withStore(open, run)));
  }
}

const TOPICS: Record<string, (check: DefineTest) => void> = {
  append: appendTests,
  'clock order': clockOrderTests,
  epoch: epochTests,
  'expected versions': expectedVersionTests,
  'idempotency key': idempotencyKeyTests,
  keys: keyTests,
  family: familyTests,
  counts: countTests,
  page: pageTests,
  bytes: byteCountTests,
  erase: eraseTests,
  trim: trimTests,
  'new epoch': newEpochTests,
  'room end': roomEndTests,
  rooms: roomListTests,
  secret: secretTests,
  usage: usageTests,
  subscribe: subscriptionTests,
  publish: publishTests,
  mark: markTests,
  lease: leaseTests,
  ticket: ticketTests,
  'export and import': exportImportTests,
  strings: stringSafetyTests,
  close: closeTests,
};

async function withStore(open: OpenStore, run: Parameters<DefineTest>[1]): Promise<void> {
  const clock = new ManualClock();
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
