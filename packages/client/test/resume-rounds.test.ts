/** Rounds of kill -9 under clients that stay. */

import { seed } from '@engawa/testkit/seed';
import { isOnRedis, newStoreLocation } from '@engawa/testkit/stores';
import { expect, test } from 'vitest';
import { type ResumeReport, runResumeRounds } from './helpers/resume-rounds.ts';

const rounds = Number(process.env.ROUNDS || (isOnRedis ? 20 : 50));

test(`${rounds} rounds of kill -9 under clients that stay: none misses an entry or receives it twice`, {
  timeout: rounds * 10_000 + 120_000,
}, async () => {
  console.log(`resume: ${rounds} rounds, SEED=${seed}`);
  const started = performance.now();
  const elapsed = () => `${Math.round((performance.now() - started) / 1000)} s`;
  const figures = await runResumeRounds({
    rounds,
    seed,
    storeLocation: newStoreLocation(),
    onChapter: (so) => console.log(`resume: ${sayHowFar(so)}, ${elapsed()}`),
  });
  console.log(`resume: ${elapsed()}`, figures);

  expect(figures.faults).toEqual([]);
  expect(figures.socketIo.unknownClients, 'plain clients that were not recovered although they had received something').toBe(0);
  expect(figures.socketIo.recovered, 'plain clients that were recovered').toBeGreaterThan(figures.socketIo.newcomers);
  expect(figures.repeated, 'commands were stored, their answers lost').toBeGreaterThan(0);
  // Plain Socket.IO clients that only poll need six round trips with a server that is up for a second.
  expect(figures.minReconnectShare, 'all reconnected again and again').toBeGreaterThan(0.02);
});

function sayHowFar({ rounds: done, entries, memory, faults }: ResumeReport): string {
  const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  return `${done} rounds, ${entries} entries, server ${megabytes(memory.server)}, here ${megabytes(memory.here)}, ${faults.length} faults`;
}
