import { randomFrom } from '@engawa/client/testing';
import { expect, onTestFinished, test } from 'vitest';
import { startProxy } from '../../server/test/helpers/proxy.ts';
import { until, within } from '../../server/test/helpers/server.ts';
import { ServerProcess } from '../../server/test/helpers/server-process.ts';
import { newPlace } from '../../server/test/helpers/stores.ts';
import { Crowd } from './helpers/crowd.ts';
import type { Talker } from './helpers/talkers.ts';

const RESTARTS = 5;
const TALK_MS = 1_000;
/** Those of the SDK. */
const DELAYS = { firstMs: 500, lastMs: 5_000, openMs: 10_000 };

/** States of a room: each time it was gone it read what it had missed before it was live. */
const ROLLED = new RegExp(`^(catching up, )?(live, )?((offline, )+(catching up, live, )+){${RESTARTS}}offline$`);

test('a server is stopped and started again under load, and nobody is told of an error, misses anything, or is told it twice', {
  timeout: 180_000,
}, async () => {
  const place = newPlace();
  const proxy = await startProxy({ port: 1 });
  let server = await start();
  onTestFinished(async () => void (await server.stop()));
  const roomIds = ['one', 'two', 'three'];
  const crowd = new Crowd({ url: proxy.url, roomIds, sdk: 30, stock: 12, delays: DELAYS, random: randomFrom(1) });
  onTestFinished(() => crowd.close());
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    await talk();
    expect(await server.stop(), 'the exit code').toBe(0);
    proxy.refuse(true);
    server = await start();
  }
  await talk();

  expect(await crowd.calm()).toEqual([]);
  expect(await server.stop()).toBe(0);
  const account = await crowd.account(place);
  console.log(`rolling: ${RESTARTS} restarts, ${away('SDK', crowd.sdk)}, ${away('stock', crowd.stock)}`, account);
  expect(account.faults).toEqual([]);
  for (const { states } of crowd.sdk) {
    expect(states.join(', ')).toMatch(ROLLED);
  }
  expect(
    crowd.stock.map(({ comebacks }) => comebacks.newcomers + comebacks.strangers),
    'not recovered',
  ).toEqual(crowd.stock.map(() => 0));

  async function start(): Promise<ServerProcess> {
    const next = new ServerProcess(place);
    proxy.retarget(Number(new URL(await within(next.listening, 'a server to listen', 30_000)).port));
    proxy.refuse(false);
    return next;
  }

  async function talk(): Promise<void> {
    await until(() => crowd.talkers.every(({ isThere }) => isThere), 'everybody is there', 60_000);
    await new Promise((resolve) => setTimeout(resolve, TALK_MS));
  }
});

function away(kind: string, talkers: Talker[]): string {
  const times = talkers.flatMap((talker) => talker.away).toSorted((one, other) => one - other);
  const [middle, most] = [times[Math.floor(times.length / 2)], times.at(-1)].map((time = 0) => `${Math.round(time)} ms`);
  return `${kind} clients were away ${times.length} times, for ${middle} (median), ${most} at most`;
}
