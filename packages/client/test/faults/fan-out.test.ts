/** Fault tests: store notifications that are late, duplicated, reordered or lost, by a store in memory. */

import { ROOM, startAllSending } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { expect, test } from 'vitest';
import { deliveryFaults, startServersWithFaults } from '../helpers/two-servers.ts';

const seed = Number(process.env.SEED || Math.floor(Math.random() * 1e9));

test(`F15: notifications of the store that are late, repeated, reordered or lost do not change what clients receive (SEED=${seed})`, async () => {
  const { servers, notifications, store } = await startServersWithFaults(seed, { lose: 0.15, duplicate: 0.15, reorder: 0.15 });
  const setup = new ConsistencyChecker();
  const people = await setup.addActorsOnBoth(servers);
  const hush = startAllSending(people);
  await setup.waitForAcknowledged(400);
  hush();
  await setup.expectConsistent(store);
  const { head } = await store.read(ROOM, {});
  for (const notification of notifications) {
    const { lost, doubled, overtaken } = deliveryFaults(notification, head);
    expect(lost, 'entries of which a server was never notified').toBeGreaterThan(5);
    expect(doubled, 'entries of which it was notified twice').toBeGreaterThan(5);
    expect(overtaken, 'entries that others overtook').toBeGreaterThan(5);
  }
});
