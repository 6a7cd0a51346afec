/** Two processes send as many chats as they can, some clients read slowly, and the server is killed again and again. */
import { randomFrom } from '@engawa/client/testing';
import { RandomActorGroup } from '@engawa/testkit/actors/random-actor-group';
import { until, withTimeout } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { seed } from '@engawa/testkit/seed';
import { newStoreLocation } from '@engawa/testkit/stores';
import { expect, test, vi } from 'vitest';

const kills = Number(process.env.KILLS || 4);
const TALK_MS = 3_000;
const DELAYS = { firstMs: 40, lastMs: 250, openMs: 3_000 };
/** Far less than is sent; their buffers are soon full. */
const SLOW = { bytesPerSecond: 20_000, maxSendBuffer: '16kb' };

test(`${kills} kills under full load, with slow readers: no client misses an entry or receives it twice`, {
  timeout: kills * 30_000 + 180_000,
}, async () => {
  vi.stubEnv('ENGAWA_MAX_SEND_BUFFER', SLOW.maxSendBuffer);
  const place = newStoreLocation();
  const [fast, slow] = await Promise.all([startProxy({ port: 1 }), startProxy({ port: 1 })]);
  const roomIds = ['one', 'two', 'three'];
  const group = new RandomActorGroup({
    ...{ url: fast.url, alternateRoute: { url: slow.url, every: 4 }, roomIds, sdk: 24, socketIo: 12 },
    ...{ delays: DELAYS, pauseMs: [0, 50], random: randomFrom(seed) },
  });
  try {
    const backlogs: number[] = [];
    for (let kill = 0; kill < kills; kill += 1) {
      const server = await start();
      slow.throttle(Infinity);
      await until(() => group.actors.every(({ isLive }) => isLive), 'all are there', 60_000);
      slow.throttle(SLOW.bytesPerSecond);
      await new Promise((resolve) => setTimeout(resolve, TALK_MS));
      backlogs.push(group.longestBacklog);
      await server.kill();
      for (const proxy of [fast, slow]) proxy.refuse(true);
    }
    const server = await start();
    slow.throttle(Infinity);
    expect(await group.waitUntilConsistent()).toEqual([]);
    await server.kill();
    const account = await group.report(place);
    console.log(`full load: SEED=${seed}, ${kills} kills, entries that the slowest lacked: ${backlogs.join(', ')}`, account);
    expect(account.faults).toEqual([]);
    expect(Math.max(...backlogs), 'slow readers are behind').toBeGreaterThan(100);
  } finally {
    group.close();
  }

  async function start(): Promise<ServerProcess> {
    const server = new ServerProcess(place);
    const port = Number(new URL(await withTimeout(server.listening, 'a server to listen', 30_000)).port);
    for (const proxy of [fast, slow]) {
      proxy.retarget(port);
      proxy.refuse(false);
    }
    return server;
  }
});
