/** Memory for large answers: bounded for an address and for the node, and available to clients that read. */
import { LIMITS } from '@engawa/protocol';
import { until } from '@engawa/testkit/wait-for';
import { expect, test } from 'vitest';
import { AddressBudgets } from '#limits/address-budgets.js';
import { type MemoryReservation, ResponseMemory } from '#limits/response-memory.js';

const ANSWER = 100;
const newAddress = (responseBytes: number | null = 300): AddressBudgets => new AddressBudgets({ ...LIMITS.perAddress, responseBytes });
const never = new Promise<void>(() => undefined);

/** Reserves memory for an answer, and records when it is granted. */
function taking(memory: ResponseMemory, budgets: AddressBudgets | undefined, disconnect = (): void => undefined) {
  const taken: { hold?: MemoryReservation } = {};
  void memory.reserve({ budgets, disconnect }, ANSWER).then((hold) => (taken.hold = hold));
  return taken;
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the response memory of one address is bounded, its further requests wait, and other addresses do not wait', async () => {
  const memory = new ResponseMemory({ bytes: 1_000 });
  const [greedy, other] = [newAddress(), newAddress()];
  const all = Array.from({ length: 5 }, () => taking(memory, greedy));
  const another = taking(memory, other);
  await settled();
  expect(all.map(({ hold }) => hold !== undefined)).toEqual([true, true, true, false, false]);
  expect(another.hold).toBeDefined();
  expect(memory.usedBytes).toBe(4 * ANSWER);
  all[0]?.hold?.releaseAfter(undefined);
  await settled();
  expect(all.map(({ hold }) => hold !== undefined)).toEqual([true, true, true, true, false]);
});

test('the response memory of the node is bounded, also where addresses are not limited', async () => {
  const memory = new ResponseMemory({ bytes: 500 });
  const all = Array.from({ length: 8 }, (_, index) => taking(memory, index % 2 ? newAddress(null) : undefined));
  await settled();
  expect(all.filter(({ hold }) => hold)).toHaveLength(5);
  expect(memory.usedBytes).toBe(500);
  for (const { hold } of all) hold?.releaseAfter(undefined);
  await settled();
  expect(all.filter(({ hold }) => hold)).toHaveLength(8);
});

test('memory of unread responses is reserved until they are read', async () => {
  const memory = new ResponseMemory({ bytes: 500 });
  let read = (): void => undefined;
  const one = await memory.reserve({ budgets: undefined, disconnect: () => undefined }, ANSWER);
  one.releaseAfter(new Promise((resolve) => (read = resolve)));
  await settled();
  expect(memory.usedBytes).toBe(ANSWER);
  read();
  await settled();
  expect(memory.usedBytes).toBe(0);
});

test('while requests wait, the oldest long-unread response is dropped, of the address that uses most', async () => {
  const memory = new ResponseMemory({ bytes: 500, unreadMs: 20 });
  const ended: string[] = [];
  const hold = async (name: string, budgets: AddressBudgets, isUnread = true): Promise<void> => {
    const disconnect = (): void => {
      if (!ended.includes(name)) release();
      ended.push(name);
    };
    let release = (): void => undefined;
    const held = await memory.reserve({ budgets, disconnect }, ANSWER);
    if (isUnread) held.releaseAfter(new Promise((resolve) => (release = resolve)));
  };
  const [honest, greedy] = [newAddress(), newAddress()];
  await hold('honest', honest);
  await hold('being made', greedy, false);
  for (const number of [1, 2, 3]) void hold(`greedy ${number}`, greedy);
  await hold('late', newAddress());
  const waiting = taking(memory, newAddress());
  await until(() => waiting.hold !== undefined, 'there is memory');
  expect(ended).toEqual(['greedy 1']);
});

test('requests whose own address uses too much make no other response drop', async () => {
  const memory = new ResponseMemory({ bytes: 10_000, unreadMs: 20 });
  const ended: string[] = [];
  const [mine, other] = [newAddress(), newAddress()];
  for (const [name, budgets] of [
    ['other', other],
    ['mine 1', mine],
    ['mine 2', mine],
    ['mine 3', mine],
  ] as const) {
    (await memory.reserve({ budgets, disconnect: () => ended.push(name) }, ANSWER)).releaseAfter(never);
  }
  taking(memory, mine);
  await until(() => ended.length > 0, 'one goes');
  expect(ended[0]).toBe('mine 1');
});
