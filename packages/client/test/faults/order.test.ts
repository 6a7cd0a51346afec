/** Fault tests: one order for all clients across servers, clock skew and removals. */

import { ROOM, startAllSending } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { readEntries } from '@engawa/testkit/checkers/recording';
import { startServer, until } from '@engawa/testkit/processes/server';
import { seed } from '@engawa/testkit/seed';
import { storeKinds } from '@engawa/testkit/stores';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { memoryStorage } from '../helpers/clients.ts';
import { startTwoServers } from '../helpers/two-servers.ts';

const HOUR = 3_600_000;

test('F8: chats that are sent on two servers are received in one order by all, which preserves the order of each author', async () => {
  const { servers, store } = await startTwoServers(seed);
  const setup = new ConsistencyChecker();
  const people = await setup.addActorsOnBoth(servers);
  const hush = startAllSending(people);
  await setup.waitForAcknowledged(300);
  hush();
  await setup.expectConsistent(store);
  const log = (await readEntries(store, ROOM)).map(({ seq }) => seq);
  for (const { seqs } of people) expect(seqs).toEqual(log.slice(-seqs.length));
  const speakers = (await readEntries(store, ROOM)).map(({ by }) => by);
  const turns = speakers.filter((by, place) => by !== speakers[place - 1]);
  expect(turns.length, 'they talked at the same time').toBeGreaterThan(50);
});

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('F22: clocks of servers and clients that jump by hours change neither the order nor the members', async () => {
    const began = performance.now();
    const now = Date.now();
    let ahead = 0;
    const { url, store } = await startServer({
      store: await open({ clock: () => Math.round(now + performance.now() - began + ahead) }),
      graceMs: 2_000,
      rateLimits: 'off',
    });
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const setup = new ConsistencyChecker();
    const people = [await setup.addSdkActor('aya', url), await setup.addSdkActor('ben', url), await setup.addSocketIoActor('chiyo', url)];
    const hush = startAllSending(people);
    for (const hours of [1, -1, -1, 1, 1, -1]) {
      await setup.waitForAcknowledged(40);
      // Socket.IO's client takes a jump of its clock for sleep, and reconnects.
      await until(() => people.every(({ isLive }) => isLive), 'all are here');
      ahead += hours * HOUR;
      vi.setSystemTime(now - 20 * ahead);
      // The server looks for expired leases several times.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    hush();
    await setup.expectConsistent(store);
    const log = await readEntries(store, ROOM);
    const steps = log.map(({ at }, place) => at - (log[place - 1]?.at ?? at));
    expect(Math.min(...steps), 'time never goes back').toBe(0);
    expect(Math.max(...steps), 'the clock jumped').toBeGreaterThan(HOUR / 2);
    expect(log.filter(({ kind }) => kind === 'remove:member')).toEqual([]);
    expect(people.every(({ isLive }) => isLive)).toBe(true);
  });
});

test('F26: a member who is removed under load, on another server than the owner, neither sends nor receives anything after it', async () => {
  const { servers, store } = await startTwoServers(seed);
  const [first, second] = servers.map(({ url }) => url) as [string, string];
  const setup = new ConsistencyChecker();
  const people = [await setup.addSdkActor('aya', first), await setup.addSdkActor('ben', second)];
  const [aya] = people as [(typeof people)[0]];
  const hush = startAllSending(people);
  const storage = memoryStorage();
  /** The newest entry that the removed member received in each round. */
  const received: number[] = [];
  for (let round = 0; round < 12; round += 1) {
    const dan = await setup.addSdkActor('dan', second, { storage });
    const hushDan = dan.startSending();
    await until(() => dan.chats.filter(({ state }) => state === 'sent').length >= round % 4, 'the member sent something');
    const others = [aya.sendChats(2), aya.room.remove('dan'), aya.sendChats(2)];
    await until(() => dan.room.state === 'ended', 'the member is removed');
    hushDan();
    await Promise.all(others);
    expect(dan.room.ending?.reason).toBe('removed');
    void dan.client.close();
    received.push(Math.max(dan.startSeq, ...dan.seqs));
  }
  hush();
  await setup.expectConsistent(store);
  const log = await readEntries(store, ROOM);
  const removals = log.filter(({ kind }) => kind === 'remove:member').map(({ seq }) => seq);
  expect(removals).toHaveLength(received.length);
  for (const [round, seq] of received.entries()) expect(seq).toBeLessThanOrEqual(removals[round] ?? 0);
  expect(saidWhileAway(log, 'dan')).toEqual([]);
  expect(log.some(({ kind, by }) => kind === 'create:chat' && by === 'dan')).toBe(true);
});

/** Entries of an author who was not a member at the time. */
function saidWhileAway(log: Awaited<ReturnType<typeof readEntries>>, name: string): number[] {
  let isThere = false;
  return log.flatMap(({ seq, kind, by, body }) => {
    if (kind === 'add:member' && by === name) isThere = true;
    if (kind === 'remove:member' && body?.username === name) isThere = false;
    return kind === 'create:chat' && by === name && !isThere ? [seq] : [];
  });
}
