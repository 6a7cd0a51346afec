/** A primary that is cut off, with a node and its clients, from all the others, who replace it: then the network is mended. */
import { expect, test } from 'vitest';
import { faultsOfFork } from '../../../server/test/helpers/history.ts';
import { Island } from '../../../server/test/helpers/island.ts';
import { readRoom } from '../../../server/test/helpers/recording.ts';
import { until } from '../../../server/test/helpers/server.ts';
import { newCluster, slotOfRoom, startNode, storeAt } from '../helpers/on-redis.ts';
import { ROOM } from '../helpers/people.ts';
import { ServerProcess } from '../helpers/server-process.ts';
import { Throng } from '../helpers/throng.ts';

const NODE_TIMEOUT_MS = 2_000;
const SLOTS = 16_384;
const timeout = 120_000;

type Durability = 'fast' | 'replicated';

/** A room whose primary can be cut off, with the node of every second of those who talk there, from all other servers. */
async function twoSides(durability: Durability) {
  const network = new Island();
  const islander = Math.floor((slotOfRoom(ROOM) / SLOTS) * 3);
  const places = Array.from({ length: 6 }, (_, index) => (index === islander ? network.island : network.mainland));
  const cluster = await newCluster({ nodeTimeout: NODE_TIMEOUT_MS, places });
  const [primary, other] = [cluster.nodes[islander]!, cluster.nodes[(islander + 1) % 3]!];
  expect(await cluster.primaryOf(slotOfRoom(ROOM))).toBe(primary);
  const replica = await cluster.replicaOf(primary);
  const url = `redis+cluster://${other.address}`;
  const island = `redis+cluster://${network.island.address}:${primary.port}`;
  const there = await ServerProcess.start(island, { durability, place: network.island });
  const here = await startNode(url, { durability });
  const throng = await Throng.gather([here.url, there.url], { breathMs: 20 });
  const away = new Set(throng.all.filter((_, index) => index % 2 === 1).map(({ name }) => name));
  const acked = (isAway: boolean) =>
    throng.scene.history.sent.filter(({ client, acks }) => away.has(client) === isAway && acks.length > 0).length;
  await throng.scene.untilAcknowledged(300);
  return { network, cluster, replica, url, throng, away, acked };
}

test('F10: a minority that is cut off goes on for the node timeout, fast; when it is back, all are told, and what it said is said again', {
  timeout,
}, async () => {
  const { network, cluster, url, throng, away, acked } = await twoSides('fast');
  network.cut();
  const since = performance.now();
  const elapsed = () => Math.round(performance.now() - since);
  const [before, beforeHere] = [acked(true), acked(false)];
  let [last, lastAfter] = [before, 0];
  const othersGoOn = () => {
    if (acked(true) > last) [last, lastAfter] = [acked(true), elapsed()];
    return acked(false) > beforeHere + 100;
  };
  await until(othersGoOn, 'the others go on', 30_000);
  console.log(`partitions: the minority acknowledged for ${lastAfter} ms, the majority went on after ${elapsed()} ms`);
  expect(last - before).toBeGreaterThan(away.size);
  expect(lastAfter).toBeLessThan(2 * NODE_TIMEOUT_MS);

  network.mend();
  await throng.untilAllAreTold();
  await throng.scene.untilAcknowledged(300);
  throng.hush();
  await cluster.waitUntilOk();
  await throng.endsWellInFork(await storeAt(url));
});

test('F10: neither side acknowledges what it has no copy of, replicated; when both have each other again, nothing is lost', {
  timeout,
}, async () => {
  const { network, cluster, replica, url, throng, away, acked } = await twoSides('replicated');
  const { scene } = throng;
  network.cut();
  const [before, beforeHere] = [acked(true), acked(false)];
  await until(() => replica.isPrimary(), 'another is the primary', 30_000);
  await pause(2_000);
  // What was on its way.
  expect(acked(true) - before).toBeLessThanOrEqual(away.size);
  expect(acked(false) - beforeHere).toBeLessThanOrEqual(throng.all.length - away.size);
  expect(scene.open, 'all wait for an answer').toBe(throng.all.length);

  network.mend();
  await scene.untilAcknowledged(300);
  throng.hush();
  await cluster.waitUntilOk();
  await scene.calm();
  const store = await storeAt(url);
  expect(faultsOfFork(scene.history, await readRoom(store, ROOM, scene.history.sent))).toEqual([]);
});

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
