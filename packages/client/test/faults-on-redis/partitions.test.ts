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

test.each(['fast', 'replicated'] as const)(
  'F10: a minority that is cut off stops to acknowledge, %s; when it is back, all are told, and all have one log',
  {
    timeout: 120_000,
  },
  async (durability) => {
    const network = new Island();
    const islander = Math.floor((slotOfRoom(ROOM) / SLOTS) * 3);
    const places = Array.from({ length: 9 }, (_, index) => (index === islander ? network.island : network.mainland));
    // Where copies are asked for, the replica that takes over needs one, too.
    const cluster = await newCluster({ nodeTimeout: NODE_TIMEOUT_MS, places, replicas: durability === 'fast' ? 1 : 2 });
    const [primary, other] = [cluster.nodes[islander]!, cluster.nodes[(islander + 1) % 3]!];
    expect(await cluster.primaryOf(slotOfRoom(ROOM))).toBe(primary);
    const there = await ServerProcess.start(`redis+cluster://${network.island.address}:${primary.port}`, {
      durability,
      place: network.island,
    });
    const here = await startNode(`redis+cluster://${other.address}`, { durability });
    const throng = await Throng.gather([here.url, there.url], { breathMs: 20 });
    const { scene, sdk, stock } = throng;
    await scene.untilAcknowledged(300);

    network.cut();
    const since = performance.now();
    const away = new Set(throng.all.filter((_, index) => index % 2 === 1).map(({ name }) => name));
    const acked = (isAway: boolean) =>
      scene.history.sent.filter(({ client, acks }) => away.has(client) === isAway && acks.length > 0).length;
    const [before, beforeHere] = [acked(true), acked(false)];
    let [last, lastAt] = [before, since];
    await until(
      () => {
        if (acked(true) > last) [last, lastAt] = [acked(true), performance.now()];
        return acked(false) > beforeHere + 100;
      },
      'the others go on',
      30_000,
    );
    console.log(
      `partitions: ${durability}, the minority acknowledged ${last - before} more, for ${Math.round(lastAt - since)} ms; the majority went on after ${Math.round(performance.now() - since)} ms`,
    );
    expect(lastAt - since).toBeLessThan(2 * NODE_TIMEOUT_MS);
    // What was on its way.
    if (durability === 'replicated') expect(last - before).toBeLessThan(away.size);
    else expect(last - before).toBeGreaterThan(away.size);
    network.mend();
    const mended = performance.now();

    await until(() => acked(true) > last, 'they are acknowledged again', 30_000);
    console.log(`partitions: ${durability}, the minority is back after ${Math.round(performance.now() - mended)} ms`);
    if (durability === 'fast') await throng.untilAllAreTold();
    await scene.untilAcknowledged(300);
    throng.hush();
    await cluster.waitUntilOk();
    const store = await storeAt(`redis+cluster://${other.address}`);
    await throng.endsWellInFork(store);
    if (durability === 'replicated') expect(faultsOfFork(scene.history, await readRoom(store, ROOM, scene.history.sent))).toEqual([]);
    expect(sdk.length + stock.length).toBe(24);
  },
);
