/** A Redis that comes back without its newest data, with old data, or with none: everybody is told, and nothing is mixed up. */
import { cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RedisServer } from '../../../server/test/helpers/redis-servers.ts';
import { connect, done, newFolder, until } from '../../../server/test/helpers/server.ts';
import { startBalancer } from '../helpers/balancer.ts';
import { newRedis, startNode, storeAt } from '../helpers/on-redis.ts';
import { ROOM } from '../helpers/people.ts';
import { Scene } from '../helpers/scene.ts';
import { Throng } from '../helpers/throng.ts';

const timeout = 60_000;
const portOf = (url: string): number => Number(new URL(url).port);

/** The append-only files. */
const filesOf = ({ dir }: RedisServer): string => join(dir, 'appendonlydir');
const newestOf = (redis: RedisServer): string =>
  join(filesOf(redis), readdirSync(filesOf(redis)).find((name) => name.endsWith('.incr.aof'))!);

test('F11: a Redis that is started again without the end of its file, fast: all are told, and what was lost is said again', {
  timeout,
}, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const throng = await Throng.gather(nodes.map(({ url }) => url));
  const { scene } = throng;
  await scene.untilAcknowledged(200);
  const { size } = statSync(newestOf(redis));
  await scene.untilAcknowledged(100);
  await redis.kill();
  // In the middle of a command, too: what is torn is cut off.
  truncateSync(newestOf(redis), size - 7);
  await redis.start();
  await throng.untilAllAreTold();
  await scene.untilAcknowledged(200);
  await throng.endsWellInFork(await storeAt(redis.url));
});

test('F11: a Redis that waits for its disk and is killed again and again, fsync: it has all that was acknowledged, once', {
  timeout,
}, async () => {
  const redis = await newRedis({ config: { appendfsync: 'always' } });
  const nodes = [await startNode(redis.url, { durability: 'fsync' }), await startNode(redis.url, { durability: 'fsync' })];
  const throng = await Throng.gather(
    nodes.map(({ url }) => url),
    { breathMs: 5 },
  );
  const { scene } = throng;
  for (let kills = 0; kills < 5; kills += 1) {
    await scene.untilAcknowledged(200);
    await redis.kill();
    expect(scene.open, 'chats are on their way').toBeGreaterThan(0);
    await redis.start();
  }
  await scene.untilAcknowledged(200);
  throng.hush();
  await scene.endsWell(await storeAt(redis.url));
  for (const { resets } of throng.sdk) expect(resets).toEqual([]);
});

test.each([
  ['nodes that were there', true],
  ['nodes that never knew more', false],
])('F12: an old copy of the data is put back, under %s: all are told, and what it lacks is said again', { timeout }, async (_, areSame) => {
  const [redis, copy] = [await newRedis(), newFolder()];
  let nodes = [await startNode(redis.url), await startNode(redis.url)];
  const balancer = await startBalancer(nodes.map(({ url }) => portOf(url)));
  const throng = await Throng.gather([balancer.url], { stock: areSame ? 8 : 0 });
  const { scene } = throng;
  await scene.untilAcknowledged(200);
  cpSync(filesOf(redis), copy, { recursive: true });
  await scene.untilAcknowledged(300);
  await redis.kill();
  if (!areSame) await Promise.all(nodes.map(({ stop }) => stop()));
  rmSync(filesOf(redis), { recursive: true });
  cpSync(copy, filesOf(redis), { recursive: true });
  await redis.start();
  if (!areSame) nodes = [await startNode(redis.url), await startNode(redis.url)];
  balancer.ports = nodes.map(({ url }) => portOf(url));
  await throng.untilAllAreTold();
  await scene.untilAcknowledged(200);
  await throng.endsWellInFork(await storeAt(redis.url));
});

test('F12: everything is gone (FLUSHALL): all are told that the room is no more, and may open it again', { timeout }, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const throng = await Throng.gather(nodes.map(({ url }) => url));
  const { sdk, stock, scene } = throng;
  await scene.untilAcknowledged(100);
  const notices: unknown[] = [];
  for (const { socket } of stock) socket.on('reset:room', (notice: unknown) => notices.push(notice));
  await redis.cli('FLUSHALL');
  await until(() => sdk.every(({ room }) => room.state === 'ended') && notices.length === stock.length, 'all are told', 10_000);
  for (const { room } of sdk) expect(room.ending?.reason).toBe('deleted');
  expect(notices).toEqual(stock.map(() => ({ roomId: ROOM, epoch: null, seq: 0 })));
  throng.hush();

  const again = await Throng.gather(nodes.map(({ url }) => url));
  await again.scene.untilAcknowledged(100);
  again.hush();
  await again.scene.endsWell(await storeAt(redis.url));
});

test('F12: everything is gone, and another opens the room before anybody noticed: all are told, and who joins that one mixes nothing up', {
  timeout,
}, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const scene = new Scene();
  const people = [await scene.enter('aya', nodes[0]!.url), await scene.enter('ben', nodes[1]!.url)];
  await Promise.all(people.map((person) => person.say(20)));
  const stranger = await connect(nodes[1]!.url);
  await redis.cli('FLUSHALL');
  await done(stranger, 'create:room', { roomId: ROOM, username: 'stranger' });
  // What has the id of a room that is gone is another room: nobody joins it by themselves.
  await until(() => people.every(({ room }) => room.state === 'ended'), 'their room is gone');
  for (const person of people) {
    person.hearing.heard.splice(0);
    await person.join();
  }
  await Promise.all(people.map((person) => person.say(5)));
  await until(() => people.every(({ texts }) => texts.length === 10), 'both heard all');
  for (const { room, texts } of people) expect(room.timeline.chats.map(({ message }) => message)).toEqual(texts);
});
