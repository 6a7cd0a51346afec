/** Many at once, and one who holds up: nobody else notices. */
import type { Store } from '@engawa/server';
import { Server } from 'socket.io';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startProxy } from '../../../server/test/helpers/proxy.ts';
import { type Running, startServer, until, withFault } from '../../../server/test/helpers/server.ts';
import { newStore } from '../../../server/test/helpers/stores.ts';
import type { SdkPerson } from '../helpers/people.ts';
import { Scene } from '../helpers/scene.ts';

const portOf = (url: string) => ({ port: Number(new URL(url).port) });

/** What the server lets wait for one client: beyond that, what its room says in a second, when it looks next. */
const UNREAD = 8 * 1024 * 1024;

test('F21: who does not read is put out at the limit while all others talk on, and misses nothing when he reads again', {
  timeout: 60_000,
}, async () => {
  const { url, store, io } = await startWatched(await newStore());
  const proxy = await startProxy(portOf(url));
  const scene = new Scene();
  const others = [await scene.enter('aya', url), await scene.enterStock('ben', url), await scene.enterStock('chiyo', url)];
  const sleeper = await scene.enter('dan', proxy.url);
  let waiting = 0;
  const watching = setInterval(() => (waiting = Math.max(waiting, ...[...io.sockets.sockets.values()].map(unread))), 5);
  onTestFinished(() => clearInterval(watching));

  proxy.stall(true);
  const before = sleeper.seqs.length;
  const hushes = others.map((person) => person.talk('😀'.repeat(3_900)));
  await until(() => io.engine.clientsCount === others.length, 'he is put out', 30_000);
  const saidMeanwhile = scene.acknowledged;
  for (const hush of hushes) hush();
  await others[0]?.say(1);
  expect(sleeper.seqs, 'he heard nothing of it').toHaveLength(before);
  for (const { drops } of others) expect(drops).toBe(0);
  expect(waiting, 'as much waited for him as may').toBeGreaterThan(UNREAD / 2);
  expect(waiting).toBeLessThan(2 * UNREAD);

  proxy.stall(false);
  await scene.endsWell(store);
  expect(sleeper.drops).toBe(1);
  expect(sleeper.resets).toEqual([]);
  console.log(`F21: ${saidMeanwhile} chats, at most ${(waiting / 2 ** 20).toFixed(1)} MiB waited`);
});

async function startWatched(store: Store): Promise<Running & { io: Server }> {
  const using = vi.spyOn(Server.prototype, 'use');
  const running = await startServer({ store, limits: 'off' });
  const io = using.mock.contexts[0] as Server;
  using.mockRestore();
  return { ...running, io };
}

/** Characters that wait in this process for one client. */
function unread({ conn }: { conn: unknown }): number {
  const { writeBuffer } = conn as { writeBuffer: { data?: string }[] };
  return writeBuffer.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
}

test('F29: when hundreds come back at once, most of what they missed is read once for all', { timeout: 60_000 }, async () => {
  const MEMBERS = 300;
  let pages = 0;
  const rooms = await newStore();
  const page: Store['page'] = async (...asked) => {
    pages += 1;
    return rooms.page(...asked);
  };
  const { url } = await startServer({ store: withFault(rooms, { page }), limits: 'off' });
  const proxy = await startProxy(portOf(url));
  const scene = new Scene();
  const aya = await scene.enter('aya', url);
  const members: SdkPerson[] = [];
  while (members.length < MEMBERS) {
    const next = Array.from({ length: 30 }, (_, place) => scene.enter(`m${members.length + place}`, proxy.url));
    members.push(...(await Promise.all(next)));
  }
  await aya.say(10);
  await until(() => members.every(({ texts }) => texts.length === 10), 'all heard the first', 20_000);
  proxy.refuse(true);
  proxy.cut();
  await until(() => members.every(({ drops }) => drops === 1), 'all dropped', 20_000);
  await aya.say(50);

  const before = pages;
  const began = performance.now();
  proxy.refuse(false);
  const waits: number[] = [];
  while (!members.every(({ isHere }) => isHere)) {
    const asked = performance.now();
    await aya.say(1);
    waits.push(performance.now() - asked);
    await new Promise((resolve) => setTimeout(resolve, 250));
    if (performance.now() - began > 30_000) throw new Error('not all came back');
  }
  const seconds = (performance.now() - began) / 1000;
  const read = pages - before;
  console.log(
    `F29: ${MEMBERS} back in ${seconds.toFixed(1)} s by ${read} pages; acks of others took at most ${Math.max(...waits).toFixed(0)} ms`,
  );
  expect(members.every(({ drops }) => drops === 1)).toBe(true);
  expect(read, 'pages read').toBeLessThan(MEMBERS / 3);
  await until(() => members.every(({ texts }) => texts.length === 60 + waits.length), 'all heard all', 20_000);
  expect(await scene.faults(rooms)).toEqual([]);
});
