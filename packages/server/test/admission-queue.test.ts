/** The queue that admits reconnecting clients in turns. */
import { expect, test } from 'vitest';
import { AdmissionQueue } from '#limits/admission-queue.js';

test('queued clients are admitted in order, and other work runs in between', async () => {
  const queue = new AdmissionQueue();
  const passed: number[] = [];
  let turns = 0;
  const turn = () => {
    turns += 1;
    if (passed.length < 100) setImmediate(turn);
  };
  setImmediate(turn);
  await Promise.all(Array.from({ length: 100 }, (_, each) => queue.waitForTurn().then(() => passed.push(each))));
  expect(passed).toEqual(Array.from({ length: 100 }, (_, each) => each));
  expect(turns).toBeGreaterThan(5);
});

test('a single client is admitted at once', async () => {
  const queue = new AdmissionQueue();
  await queue.waitForTurn();
  await queue.waitForTurn();
});
