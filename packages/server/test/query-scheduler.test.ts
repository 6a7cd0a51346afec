/** Concurrent queries: they are read in slices of time, and other work runs in between. */
import { LIMITS } from '@engawa/protocol';
import { connectRaw, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { withOverrides } from '@engawa/testkit/processes/server';
import { newStore } from '@engawa/testkit/stores';
import { expect, test } from 'vitest';
import { QueryScheduler } from '#api/query-scheduler.js';
import { ATTACKER_HEADERS, ROOM, startWithBystanders } from './helpers/bystanders.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const MOST_UNDER_WAY = 64;
const READERS = 40;

/** Reads that block the thread, like those of the embedded store. */
function block(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

test('slow queries start in order, one per turn of the event loop', async () => {
  const queue = new QueryScheduler();
  const seen: (number | 'turn')[] = [];
  let isOver = false;
  const turn = () => {
    seen.push('turn');
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const asked = upTo(10).map((each) =>
    queue.run(async () => {
      seen.push(each);
      block(6);
    }),
  );
  await Promise.all(asked);
  isOver = true;
  expect(seen.filter((each) => each !== 'turn')).toEqual(upTo(10));
  for (const each of upTo(9)) expect(seen.slice(seen.indexOf(each), seen.indexOf(each + 1))).toContain('turn');
});

test('queries that wait for a remote store run concurrently, up to a limit', async () => {
  const queue = new QueryScheduler();
  let underWay = 0;
  let most = 0;
  const ask = async () => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise((resolve) => setTimeout(resolve, 5));
    underWay -= 1;
  };
  await Promise.all(upTo(3 * MOST_UNDER_WAY).map(() => queue.run(ask)));
  expect(most).toBe(MOST_UNDER_WAY);
  expect(queue.queuedCount).toBe(0);
});

test('a query that fails, or throws before it starts, fails alone', async () => {
  const queue = new QueryScheduler();
  const failing = queue.run(() => Promise.reject(new Error('no store')));
  const throwing = queue.run(() => {
    throw new Error('no argument');
  });
  await expect(failing).rejects.toThrow('no store');
  await expect(throwing).rejects.toThrow('no argument');
  for (const each of upTo(2 * MOST_UNDER_WAY)) expect(await queue.run(async () => each)).toBe(each);
});

test('of pages that many connections request at once, one is read in a turn of the event loop', async () => {
  const inner = await newStore();
  let turn = 0;
  const turns: number[] = [];
  const store = withOverrides(inner, {
    readPage(...asked) {
      if (asked[1].limit === LIMITS.pageMax) {
        turns.push(turn);
        block(6);
      }
      return inner.readPage(...asked);
    },
  });
  const { url, expectUnharmed } = await startWithBystanders({ store, rateLimits: 'off' });
  const readers = await Promise.all(
    upTo(READERS).map(async (each) => {
      const raw = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
      await raw.send(`420["add:member",{"roomId":"${ROOM}","username":"reader ${each}"}]`);
      await raw.waitForPacket(/^430\[\{"ok":true/);
      return raw;
    }),
  );
  // Joining reads pages, too.
  turns.length = 0;
  const next = () => {
    turn += 1;
    if (turns.length < READERS) setImmediate(next);
  };
  setImmediate(next);
  for (const raw of readers) void raw.send(`421["list:chats",{"roomId":"${ROOM}","limit":${LIMITS.pageMax}}]`);
  await Promise.all(readers.map((raw) => raw.waitForPacket(/^431\[\{"ok":true/)));
  expect(turns).toHaveLength(READERS);
  expect(new Set(turns).size).toBe(READERS);
  await expectUnharmed();
});
