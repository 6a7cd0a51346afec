/** When the operator is warned of a quota, and when the size of the store is read. */
import { openMemory } from '@engawa/server';
import { until, withOverrides } from '@engawa/testkit/processes/server';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { QuotaMonitor } from '#background/quota-monitor.js';

const caller = { canOpenRooms: true, writeRetryAfterMs: 0 };

function monitor({ rooms = null, totalBytes = null }: { rooms?: number | null; totalBytes?: number | null }) {
  const usage = { rooms: 0, bytes: 0 };
  let asked = 0;
  const store = withOverrides(openMemory(), {
    usage: async () => {
      asked += 1;
      return { ...usage };
    },
  });
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const quotas = { roomsPerSession: null, roomBytes: null, rooms, totalBytes };
  const errors: unknown[] = [];
  const watching = new QuotaMonitor({ store, quotas, refreshDelayMs: 1, log, onError: (error) => void errors.push(error) });
  onTestFinished(() => watching.close());
  /** The log lines once the store has this size. */
  const holds = async (more: Partial<typeof usage>): Promise<string[]> => {
    Object.assign(usage, more);
    const before = asked;
    watching.headroom(caller);
    await until(() => asked > before, 'the store is asked');
    await new Promise((resolve) => setTimeout(resolve, 0));
    return lines.splice(0).map((line) => {
      const { setting, percent, msg } = JSON.parse(line) as { setting: string; percent: number; msg: string };
      return `${setting} ${percent} % ${msg}`;
    });
  };
  return { watching, holds, asks: () => asked };
}

test('the operator is warned at 80 % and at 100 %, and again only after it fell by 5 %', async () => {
  const { holds } = monitor({ totalBytes: 1_000 });
  const said: [bytes: number, lines: string[]][] = [];
  for (const bytes of [100, 799, 800, 850, 760, 820, 749, 800, 999, 1_000, 1_200, 960, 1_000, 949, 1_001, 100, 2_000])
    said.push([bytes, await holds({ bytes })]);
  const near = (percent: number) => [`--quota-total-bytes ${percent} % a quota is nearly used up`];
  const full = (percent: number) => [`--quota-total-bytes ${percent} % a quota is used up: requests that would exceed it are refused`];
  const again = (percent: number) => [`--quota-total-bytes ${percent} % a quota has free space again`];
  expect(said).toEqual([
    [100, []],
    [799, []],
    [800, near(80)],
    [850, []],
    [760, []],
    [820, []],
    [749, again(74)],
    [800, near(80)],
    [999, []],
    [1_000, full(100)],
    [1_200, []],
    [960, []],
    [1_000, []],
    [949, again(94)],
    [1_001, full(100)],
    [100, again(10)],
    [2_000, full(200)],
  ]);
});

test('rooms that were opened since the last read of the store count', async () => {
  const { watching, holds } = monitor({ rooms: 10 });
  expect(await holds({ rooms: 9 })).toEqual(['--quota-rooms 90 % a quota is nearly used up']);
  expect(watching.headroom(caller).exceededRoomQuota).toBe(undefined);
  watching.countOpenedRoom();
  expect(watching.headroom(caller).exceededRoomQuota).toBe('rooms');
  await holds({ rooms: 5 });
  expect(watching.headroom(caller).exceededRoomQuota).toBe(undefined);
});

test('the store is not read without requests, and never without a quota', async () => {
  const quiet = monitor({ totalBytes: 1_000 });
  await quiet.holds({ bytes: 1 });
  const asked = quiet.asks();
  const lifted = monitor({});
  lifted.watching.headroom(caller);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(quiet.asks()).toBe(asked);
  expect(lifted.asks()).toBe(0);
});
