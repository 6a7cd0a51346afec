/** The load generator with real servers, in processes of their own. */
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { withLoadGenerator } from '#generator/generator.js';
import {
  BASELINE,
  ENGAWA,
  SERVER_KINDS,
  type ServerKind,
  SOCKET_IO,
  TUTORIAL,
  unavailableReason,
  withServerOf,
} from '#harness/server-kinds.js';
import { withTestBed } from '#harness/test-bed.js';

const GROUPS = [
  { name: 'small', rooms: 3, members: 2 },
  { name: 'large', rooms: 1, members: 20, stopped: 5 },
];
const TALK = { perSecond: [60, 20], warmUpMs: 100, measuredMs: 500, patienceMs: 10_000 };
const here = (groups = GROUPS) => ({ folder: tmpdir(), company: { groups, textBytes: 100, patienceMs: 20_000 } });

const kinds = SERVER_KINDS.filter((kind) => unavailableReason(kind) === undefined);

test('servers to measure are here', () => {
  expect(kinds).toEqual(expect.arrayContaining([ENGAWA, TUTORIAL, SOCKET_IO, BASELINE]));
});

test.each(kinds)('every delivery of $name is counted once', async (kind: ServerKind) => {
  await withTestBed(kind, here(), async ({ generator, joinResult }) => {
    expect(joinResult).toMatchObject({ joined: 26, wanted: 26, refusals: [] });
    for (let run = 0; run < 2; run += 1) {
      const { groups, refused, lost } = await generator.runLoad(TALK);
      expect(groups.map(({ said, due, latency }) => [said, due, latency.total])).toEqual([
        [30, 60, 60],
        [10, 150, 150],
      ]);
      expect([refused, lost]).toEqual([0, 0]);
    }
  });
});

test('several processes share the members and the rate', async () => {
  await withServerOf(BASELINE, tmpdir(), ({ url }) =>
    withLoadGenerator(async (generator) => {
      const target = { url, dialect: BASELINE.dialect };
      expect(await generator.join({ target, groups: GROUPS, textBytes: 100, patienceMs: 20_000 })).toMatchObject({
        joined: 26,
        wanted: 26,
      });
      const { groups } = await generator.runLoad(TALK);
      for (const [index, { said, due, latency }] of groups.entries()) {
        // One more or less for each of them.
        expect(Math.abs(said - [30, 10][index]!)).toBeLessThanOrEqual(3);
        expect([due, latency.total]).toEqual([said * [2, 15][index]!, due]);
      }
    }, 3),
  );
});

test('connections that only come are counted', async () => {
  await withServerOf(ENGAWA, tmpdir(), ({ url }) =>
    withLoadGenerator(async (generator) => expect(await generator.connect({ url, dialect: ENGAWA.dialect }, 50)).toBeGreaterThan(0)),
  );
});

test('a server that stands still is not spared: what was due meanwhile was due then', async () => {
  await withTestBed(BASELINE, here([{ name: 'room', rooms: 1, members: 4 }]), async ({ generator, server }) => {
    const stopped = sleep(400).then(async () => {
      process.kill(server.pid, 'SIGSTOP');
      await sleep(500);
      process.kill(server.pid, 'SIGCONT');
    });
    const { groups } = await generator.runLoad({ perSecond: [200], warmUpMs: 0, measuredMs: 1_000, patienceMs: 10_000 });
    await stopped;
    const [heard] = groups;
    expect(heard).toMatchObject({ said: 200, due: 800 });
    expect(heard!.latency.total).toBe(800);
    // Of 200 chats those of 300 ms were due 200 ms or more before it went on.
    expect(heard!.latency.percentile(0.8)).toBeGreaterThan(200_000);
  });
});

test('what a server does not tell in time was never heard', async () => {
  await withTestBed(BASELINE, here([{ name: 'room', rooms: 1, members: 4 }]), async ({ generator, server }) => {
    process.kill(server.pid, 'SIGSTOP');
    const { groups } = await generator.runLoad({ perSecond: [100], warmUpMs: 0, measuredMs: 300, patienceMs: 100 });
    expect(groups[0]).toMatchObject({ said: 30, due: 120 });
    expect(groups[0]!.latency.percentile(0.01, groups[0]!.due)).toBe(Number.POSITIVE_INFINITY);
  });
});

test('who is acknowledged says the next', async () => {
  const groups = [{ name: 'room', rooms: 5, members: 4, isOnePerson: true }];
  await withTestBed(
    ENGAWA,
    { folder: tmpdir(), company: { groups, textBytes: 100, acknowledged: true, patienceMs: 20_000 } },
    async (scene) => {
      expect(scene.joinResult).toMatchObject({ joined: 20, refusals: [] });
      const asked = await scene.generator.measureAcks({ warmUpMs: 100, measuredMs: 500 });
      expect(asked.acknowledged).toBeGreaterThan(20);
      expect(asked.latency.total).toBe(asked.acknowledged);
      expect(asked.refused).toBe(0);
    },
  );
});

test('who cannot come in is told of, and not waited for without end', async () => {
  await withTestBed(BASELINE, { ...here(), folder: tmpdir() }, async ({ generator, server }) => {
    process.kill(server.pid, 'SIGSTOP');
    const target = { url: server.url, dialect: BASELINE.dialect };
    const gathered = await generator.join({ target, groups: [{ name: 'late', rooms: 1, members: 3 }], textBytes: 100, patienceMs: 300 });
    expect(gathered).toMatchObject({ joined: 0, wanted: 3 });
  });
});
