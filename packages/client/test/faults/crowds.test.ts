/** Many clients at once, and one slow consumer: the others notice nothing. */
import type { CoalescingAdapter } from '@engawa/coalescing-adapter';
import type { Store } from '@engawa/server';
import type { SdkActor } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { type RunningServer, startServer, until, withOverrides } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { newStore } from '@engawa/testkit/stores';
import { Server } from 'socket.io';
import { expect, onTestFinished, test, vi } from 'vitest';

const portOf = (url: string) => ({ port: Number(new URL(url).port) });

/** The largest buffer of one client: the limit, plus what its room emitted just before it was exceeded. */
const MAX_WAITING = 256 * 1024 + 1024 * 1024;

test('F21: a slow consumer receives everything later, in order, and is closed only after reading nothing for long; the others are not delayed', {
  timeout: 180_000,
}, async () => {
  const { url, store, io } = await startWatched(await newStore(), { stallTimeoutMs: 3_000 });
  const adapter = io.of('/').adapter as CoalescingAdapter;
  // Clients that accept offsets have a channel of their own.
  const hearers = () => [...adapter.rooms].reduce((sum, [room, ids]) => (/^(room|plain):/.test(room) ? sum + ids.size : sum), 0);
  const proxy = await startProxy(portOf(url));
  const setup = new ConsistencyChecker();
  const others = [
    await setup.addSdkActor('aya', url),
    await setup.addSocketIoActor('ben', url),
    await setup.addSocketIoActor('chiyo', url),
  ];
  const slowReaders = [await setup.addSdkActor('dan', proxy.url), await setup.addSocketIoActor('emi', proxy.url)];
  const all = others.length + slowReaders.length;
  let waiting = 0;
  const watching = setInterval(
    () => (waiting = Math.max(waiting, ...[...io.sockets.sockets.keys()].map((id) => adapter.bufferedBytesOf(id)))),
    5,
  );
  onTestFinished(() => clearInterval(watching));

  await others[0]?.sendChats(1);
  await until(() => new Set([...others, ...slowReaders].map(({ seqs }) => seqs.at(-1))).size === 1, 'all received the same');
  proxy.stall(true);
  const before = slowReaders.map(({ seqs }) => seqs.length);
  const hushes = others.map((person) => person.startSending('😀'.repeat(3_900)));
  await until(() => hearers() === others.length, 'the room is not pushed to them any more', 30_000);
  expect(
    slowReaders.map(({ seqs }) => seqs.length),
    'they received none of it',
  ).toEqual(before);
  proxy.stall(false);
  for (const hush of hushes) hush();
  await until(() => hearers() === all, 'they are in the room again', 30_000);
  for (const { drops } of [...others, ...slowReaders]) expect(drops).toBe(0);

  proxy.stall(true);
  const hushesAgain = others.map((person) => person.startSending('😀'.repeat(3_900)));
  await until(() => io.engine.clientsCount === others.length, 'they are disconnected', 30_000);
  for (const hush of hushesAgain) hush();
  await others[0]?.sendChats(1);
  for (const { drops } of others) expect(drops).toBe(0);
  expect(waiting, 'as much waited for them as may').toBeGreaterThan(MAX_WAITING / 6);
  expect(waiting).toBeLessThan(MAX_WAITING);

  proxy.stall(false);
  await setup.expectConsistent(store);
  for (const slowReader of slowReaders) expect(slowReader.drops).toBe(1);
  console.log(`F21: ${setup.acknowledgedCount} chats, at most ${(waiting / 2 ** 10).toFixed(0)} KiB waited`);
});

async function startWatched(store: Store, options: Parameters<typeof startServer>[0]): Promise<RunningServer & { io: Server }> {
  const using = vi.spyOn(Server.prototype, 'use');
  const running = await startServer({ store, rateLimits: 'off', ...options });
  const io = using.mock.contexts[0] as Server;
  using.mockRestore();
  return { ...running, io };
}

/** A deadline for a loaded machine. A quiet one needs three seconds. */
const RECONNECTED_WITHIN_MS = 90_000;

test('F29: when hundreds of clients reconnect at once, most missed entries are read once for all', { timeout: 180_000 }, async () => {
  const MEMBERS = 300;
  let pages = 0;
  const rooms = await newStore();
  const readPage: Store['readPage'] = async (...asked) => {
    pages += 1;
    return rooms.readPage(...asked);
  };
  const { url } = await startServer({ store: withOverrides(rooms, { readPage }), rateLimits: 'off' });
  const proxy = await startProxy(portOf(url));
  const setup = new ConsistencyChecker();
  const aya = await setup.addSdkActor('aya', url);
  const members: SdkActor[] = [];
  while (members.length < MEMBERS) {
    const next = Array.from({ length: 30 }, (_, place) => setup.addSdkActor(`m${members.length + place}`, proxy.url));
    members.push(...(await Promise.all(next)));
  }
  await aya.sendChats(10);
  await until(() => members.every(({ texts }) => texts.length === 10), 'all received the first', 20_000);
  proxy.refuse(true);
  proxy.cut();
  await until(() => members.every(({ drops }) => drops === 1), 'all dropped', 20_000);
  await aya.sendChats(50);

  const before = pages;
  const began = performance.now();
  proxy.refuse(false);
  const waits: number[] = [];
  while (!members.every(({ isLive }) => isLive)) {
    const asked = performance.now();
    await aya.sendChats(1);
    waits.push(performance.now() - asked);
    await new Promise((resolve) => setTimeout(resolve, 250));
    if (performance.now() - began > RECONNECTED_WITHIN_MS) throw new Error('not all clients reconnected');
  }
  const seconds = (performance.now() - began) / 1000;
  const read = pages - before;
  console.log(
    `F29: ${MEMBERS} back in ${seconds.toFixed(1)} s by ${read} pages; acks of others took at most ${Math.max(...waits).toFixed(0)} ms`,
  );
  expect(members.every(({ drops }) => drops === 1)).toBe(true);
  expect(read, 'pages read').toBeLessThan(MEMBERS / 3);
  await until(() => members.every(({ texts }) => texts.length === 60 + waits.length), 'all received everything', 20_000);
  expect(await setup.findFaults(rooms)).toEqual([]);
});
