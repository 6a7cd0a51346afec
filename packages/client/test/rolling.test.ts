/** A rolling restart of a server under load. */
import { randomFrom } from '@engawa/client/testing';
import { RandomActorGroup } from '@engawa/testkit/actors/random-actor-group';
import type { RandomActor } from '@engawa/testkit/actors/random-actors';
import { until, withTimeout } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { newStoreLocation } from '@engawa/testkit/stores';
import { expect, onTestFinished, test } from 'vitest';

const RESTARTS = 5;
const TALK_MS = 1_000;
/** Those of the SDK. */
const DELAYS = { firstMs: 500, lastMs: 5_000, openMs: 10_000 };

/** The states of a room: after each `offline` it resumes before it is `live`. */
const ROLLED = new RegExp(`^(catching up, )?(live, )?((offline, )+(catching up, live, )+){${RESTARTS}}offline$`);

test('a server that restarts under load causes no error, and no client misses an entry or receives it twice', {
  timeout: 180_000,
}, async () => {
  const place = newStoreLocation();
  const proxy = await startProxy({ port: 1 });
  let server = await start();
  onTestFinished(async () => void (await server.stop()));
  const roomIds = ['one', 'two', 'three'];
  const group = new RandomActorGroup({ url: proxy.url, roomIds, sdk: 30, socketIo: 12, delays: DELAYS, random: randomFrom(1) });
  onTestFinished(() => group.close());
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    await talk();
    expect(await server.stop(), 'the exit code').toBe(0);
    proxy.refuse(true);
    server = await start();
  }
  await talk();

  expect(await group.waitUntilConsistent()).toEqual([]);
  expect(await server.stop()).toBe(0);
  const account = await group.report(place);
  console.log(`rolling: ${RESTARTS} restarts, ${away('SDK', group.sdk)}, ${away('stock', group.socketIo)}`, account);
  expect(account.faults).toEqual([]);
  for (const { states } of group.sdk) {
    expect(states.join(', ')).toMatch(ROLLED);
  }
  expect(
    group.socketIo.map(({ reconnections }) => reconnections.newcomers + reconnections.unknownClients),
    'not recovered',
  ).toEqual(group.socketIo.map(() => 0));

  async function start(): Promise<ServerProcess> {
    const next = new ServerProcess(place);
    proxy.retarget(Number(new URL(await withTimeout(next.listening, 'a server to listen', 30_000)).port));
    proxy.refuse(false);
    return next;
  }

  async function talk(): Promise<void> {
    await until(() => group.actors.every(({ isLive }) => isLive), 'all are there', 60_000);
    await new Promise((resolve) => setTimeout(resolve, TALK_MS));
  }
});

function away(kind: string, talkers: RandomActor[]): string {
  const times = talkers.flatMap((talker) => talker.downtimesMs).toSorted((one, other) => one - other);
  const [middle, most] = [times[Math.floor(times.length / 2)], times.at(-1)].map((time = 0) => `${Math.round(time)} ms`);
  return `${kind} clients were away ${times.length} times, for ${middle} (median), ${most} at most`;
}
