/** Rounds of faults in nodes and in a Redis Cluster. */

import { seed } from '@engawa/testkit/seed';
import { expect, test } from 'vitest';
import { type Durability, type RedisReport, runRedisRounds } from './helpers/redis-rounds.ts';

const rounds = Number(process.env.ROUNDS || 6);
/** For example `DURABILITY=replicated,fast`. */
const levels = (process.env.DURABILITY || 'replicated').split(',') as Durability[];

test.each(levels)(
  `${rounds} faults of nodes and of a Redis Cluster, %s: no entry is lost without a reset, and none is delivered twice`,
  {
    timeout: rounds * 60_000 + 180_000,
  },
  async (durability) => {
    console.log(`redis: ${durability}, ${rounds} rounds, SEED=${seed}`);
    const started = performance.now();
    const elapsed = () => `${Math.round((performance.now() - started) / 1000)} s`;
    const figures = await runRedisRounds({
      rounds,
      seed,
      durability,
      onChapter: (so) => console.log(`redis: ${sayHowFar(so)}, ${elapsed()}`),
    });
    console.log(`redis: ${durability}, ${elapsed()}`, figures);

    expect(figures.faults).toEqual([]);
    expect(figures.acknowledged, 'they talked').toBeGreaterThan(rounds * 50);
  },
);

const sayHowFar = ({ rounds: done, acknowledged, entries, resets, faults }: RedisReport): string =>
  `${done} rounds, ${acknowledged} acknowledged, ${entries} entries, ${resets} resets, ${faults.length} faults`;
