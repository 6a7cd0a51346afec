// Runs an action for many items, a limited number at a time.
import { setTimeout as sleep } from 'node:timers/promises';

/** In order. Resolves at the deadline at the latest, and does not wait for what is under way then. */
export async function runConcurrently<Item>(
  items: readonly Item[],
  { concurrency = 50, deadlineMs }: { concurrency?: number; deadlineMs?: number },
  act: (item: Item, index: number) => Promise<unknown>,
): Promise<void> {
  const deadline = performance.now() + (deadlineMs ?? Number.POSITIVE_INFINITY);
  let next = 0;
  async function work(): Promise<void> {
    for (let index = next++; index < items.length && performance.now() < deadline; index = next++) await act(items[index] as Item, index);
  }
  const all = Promise.all(Array.from({ length: concurrency }, work));
  await (deadlineMs === undefined ? all : Promise.race([all, sleep(deadlineMs, undefined, { ref: false })]));
}
