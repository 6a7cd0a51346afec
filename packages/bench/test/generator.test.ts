// The load generator with real servers.
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { withLoadGenerator } from '#generator/generator.js';
import { connectTo, type SocketIoClient } from '#generator/socketio-client.js';
import {
  BASELINE,
  ENGAWA,
  SERVER_KINDS,
  type ServerKind,
  SOCKET_IO,
  start,
  TUTORIAL,
  unavailableReason,
  withServerOf,
  withStorage,
} from '#harness/server-kinds.js';
import { withTestBed } from '#harness/test-bed.js';

const GROUPS = [
  { name: 'small', rooms: 3, members: 2 },
  { name: 'large', rooms: 1, members: 20, stopped: 5 },
];
const LOAD = { perSecond: [60, 20], warmUpMs: 100, measuredMs: 500, deadlineMs: 10_000 };
const here = (groups = GROUPS) => ({ folder: tmpdir(), members: { groups, textBytes: 100, deadlineMs: 20_000 } });

const kinds = SERVER_KINDS.filter((kind) => unavailableReason(kind) === undefined);

test('the servers to measure are available', () => {
  expect(kinds).toEqual(expect.arrayContaining([ENGAWA, TUTORIAL, SOCKET_IO, BASELINE]));
});

test.each(kinds)('each delivery of $name is counted once', async (kind: ServerKind) => {
  await withTestBed(kind, here(), async ({ generator, joinResult }) => {
    expect(joinResult).toMatchObject({ joined: 26, wanted: 26, refusals: [] });
    for (let run = 0; run < 2; run += 1) {
      const { groups, refused, lost } = await generator.runLoad(LOAD);
      expect(groups.map(({ sent, due, latency }) => [sent, due, latency.total])).toEqual([
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
      expect(await generator.join({ target, groups: GROUPS, textBytes: 100, deadlineMs: 20_000 })).toMatchObject({
        joined: 26,
        wanted: 26,
      });
      const { groups } = await generator.runLoad(LOAD);
      for (const [index, { sent, due, latency }] of groups.entries()) {
        // One more or less for each of them.
        expect(Math.abs(sent - [30, 10][index]!)).toBeLessThanOrEqual(3);
        expect([due, latency.total]).toEqual([sent * [2, 15][index]!, due]);
      }
    }, 3),
  );
});

test('connections that join no room are counted', async () => {
  await withServerOf(ENGAWA, tmpdir(), ({ url }) =>
    withLoadGenerator(async (generator) => expect(await generator.connect({ url, dialect: ENGAWA.dialect }, 50)).toBeGreaterThan(0)),
  );
});

test('chats that are due while a server is stopped count from when they were due', async () => {
  await withTestBed(BASELINE, here([{ name: 'room', rooms: 1, members: 4 }]), async ({ generator, server }) => {
    const stopped = sleep(400).then(async () => {
      process.kill(server.pid, 'SIGSTOP');
      await sleep(500);
      process.kill(server.pid, 'SIGCONT');
    });
    const { groups } = await generator.runLoad({ perSecond: [200], warmUpMs: 0, measuredMs: 1_000, deadlineMs: 10_000 });
    await stopped;
    const [result] = groups;
    expect(result).toMatchObject({ sent: 200, due: 800 });
    expect(result!.latency.total).toBe(800);
    // Those of 300 ms were due 200 ms or more before the server continued.
    expect(result!.latency.percentile(0.8)).toBeGreaterThan(200_000);
  });
});

test('a delivery that misses the deadline counts as lost', async () => {
  await withTestBed(BASELINE, here([{ name: 'room', rooms: 1, members: 4 }]), async ({ generator, server }) => {
    process.kill(server.pid, 'SIGSTOP');
    const { groups } = await generator.runLoad({ perSecond: [100], warmUpMs: 0, measuredMs: 300, deadlineMs: 100 });
    expect(groups[0]).toMatchObject({ sent: 30, due: 120 });
    expect(groups[0]!.latency.percentile(0.01, groups[0]!.due)).toBe(Number.POSITIVE_INFINITY);
  });
});

test('a connection sends the next chat when the last is acknowledged', async () => {
  const groups = [{ name: 'room', rooms: 5, members: 4, isOnePerson: true }];
  await withTestBed(
    ENGAWA,
    { folder: tmpdir(), members: { groups, textBytes: 100, acknowledged: true, deadlineMs: 20_000 } },
    async (bed) => {
      expect(bed.joinResult).toMatchObject({ joined: 20, refusals: [] });
      const asked = await bed.generator.measureAcks({ warmUpMs: 100, measuredMs: 500 });
      expect(asked.acknowledged).toBeGreaterThan(20);
      expect(asked.latency.total).toBe(asked.acknowledged);
      expect(asked.refused).toBe(0);
    },
  );
});

test('members that cannot join are reported at the deadline', async () => {
  await withTestBed(BASELINE, { ...here(), folder: tmpdir() }, async ({ generator, server }) => {
    process.kill(server.pid, 'SIGSTOP');
    const target = { url: server.url, dialect: BASELINE.dialect };
    const gathered = await generator.join({ target, groups: [{ name: 'late', rooms: 1, members: 3 }], textBytes: 100, deadlineMs: 300 });
    expect(gathered).toMatchObject({ joined: 0, wanted: 3 });
  });
});

test('senders and readers of a room use the servers that the group names, and only readers count', async () => {
  await withServerOf(SOCKET_IO, tmpdir(), (first) =>
    withServerOf(SOCKET_IO, tmpdir(), ({ url }) =>
      withLoadGenerator(async (generator) => {
        const target = { url: first.url, dialect: SOCKET_IO.dialect };
        const together = { name: 'together', rooms: 2, members: 4, senders: 1, urls: { senders: [url], readers: [url] } };
        const apart = { ...together, name: 'apart', urls: { senders: [first.url], readers: [url] } };
        await generator.join({ target, groups: [together, apart], textBytes: 100, deadlineMs: 20_000 });
        const { groups } = await generator.runLoad({ ...LOAD, deadlineMs: 300 });
        expect(groups.map(({ sent, due, latency }) => [sent, due, latency.total])).toEqual([
          [30, 90, 90],
          // Two servers without an adapter share no rooms.
          [10, 30, 0],
        ]);
      }, 1),
    ),
  );
});

test.each(['resume:rooms', 'session recovery'] as const)('members that reconnect by %s receive what they missed', async (how) => {
  await withStorage(ENGAWA, tmpdir(), async (storage) => {
    const first = await start(ENGAWA, storage);
    const author = await connectTo(first.url, { auth: { session: 'author'.padEnd(32, '-') } });
    await author.request('create:room', { roomId: 'veranda', username: 'author' });
    const chats = async (client: SocketIoClient, count: number) => {
      for (let number = 0; number < count; number += 1)
        await client.request('create:chat', { roomId: 'veranda', username: 'author', message: `chat ${number}` });
    };
    await withLoadGenerator(async (generator) => {
      await generator.joinReturning({ url: first.url, how, roomIds: ['veranda'], membersPerRoom: 5 });
      await chats(author, 1);
      await generator.awaitChats(1);
      await first.kill();
      const second = await start(ENGAWA, { ...storage, port: Number(new URL(first.url).port) });
      await chats(await connectTo(second.url, { auth: { session: 'author'.padEnd(32, '-') } }), 3);
      const { times, lost } = await generator.returnAll(second.url, 3);
      expect([times.length, lost]).toEqual([5, 0]);
      await second.kill();
    });
  });
});
