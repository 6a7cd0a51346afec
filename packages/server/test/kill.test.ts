/** Kills a server again and again, on each kind of store. */
import type { CommandName } from '@engawa/protocol';
import { seed } from '@engawa/testkit/seed';
import { isOnRedis, newStoreLocation } from '@engawa/testkit/stores';
import { expect, test } from 'vitest';
import { type KillReport, runKillRounds } from './helpers/kill-rounds.ts';

const rounds = Number(process.env.ROUNDS || (isOnRedis ? 20 : 100));

/** Only one client can open a room, and a deletion of a chat may arrive before a reaction to it. */
const EXPECTED_REFUSALS = ['create:room room_exists', 'add:reaction chat_not_found', 'remove:reaction chat_not_found'];
const COMMANDS: CommandName[] = [
  'create:room',
  'add:member',
  'remove:member',
  'create:chat',
  'update:chat',
  'delete:chat',
  'add:reaction',
  'remove:reaction',
  'update:room',
];

test(`no acknowledged chat is lost, doubled or moved in ${rounds} rounds of kill -9`, { timeout: rounds * 5_000 + 60_000 }, async () => {
  console.log(`kill -9: ${rounds} rounds, SEED=${seed}`);
  const started = performance.now();
  const figures = await runKillRounds({ rounds, seed, storeLocation: newStoreLocation(), onChapter: sayHowFar });
  console.log(`kill -9: ${Math.round((performance.now() - started) / 1000)} s`, figures);

  expect(figures.faults).toEqual([]);
  expect(Object.keys(figures.refused).filter((refusal) => !EXPECTED_REFUSALS.includes(refusal))).toEqual([]);
  expect(Object.keys(figures.acknowledged).toSorted(), 'every command took part').toEqual(COMMANDS.toSorted());
  expect(figures.repeated, 'commands were stored, their answers lost').toBeGreaterThan(0);
  expect(figures.storedOnRetry, 'commands were forestalled by a kill').toBeGreaterThan(0);
});

function sayHowFar({ rounds: done, entries, faults }: KillReport): void {
  if (done % 1_000 === 0) console.log(`kill -9: ${done} rounds, ${entries} entries, ${faults.length} faults`);
}
