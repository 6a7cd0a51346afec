/** Queued requests: bounded in bytes, for a connection, an address and the node. */
import { LIMITS } from '@engawa/protocol';
import { connect, until, withOverrides } from '@engawa/testkit/processes/server';
import { newStore } from '@engawa/testkit/stores';
import { expect, test } from 'vitest';
import { AddressBudgets } from '#limits/address-budgets.js';
import { ByteBudget } from '#limits/byte-budget.js';
import { ATTACKER_HEADERS, ROOM, startWithBystanders } from './helpers/bystanders.ts';
import { newConnection as connectionOf } from './helpers/peers.ts';

const LONG = '部'.repeat(LIMITS.textCodePoints);
const { waitingBytesPerConnection, waitingPerConnection, perAddress } = LIMITS;
const MIB = 1024 * 1024;

function newConnection({ address = { packets: undefined, budgets: new AddressBudgets(perAddress) }, node = 64 * MIB } = {}) {
  const nodeQueuedBytes = new ByteBudget(node);
  const connection = connectionOf('a', { address, nodeQueuedBytes });
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const ask = (message: string): boolean => {
    try {
      connection.enqueue(() => gate, { payload: { roomId: ROOM, username: 'aya', message } });
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'busy' });
      return false;
    }
  };
  return { ask, open: () => open(), settled: () => connection.waitUntilIdle(), waiting: nodeQueuedBytes };
}

function countOf(ask: () => boolean): number {
  let count = 0;
  while (count < 100_000 && ask()) count += 1;
  return count;
}

test('a connection has a megabyte of queued requests at most; the number of small ones is unchanged', async () => {
  const large = newConnection();
  const count = countOf(() => large.ask(LONG));
  expect(count * 2 * LONG.length).toBeLessThanOrEqual(waitingBytesPerConnection + 4 * LONG.length);
  expect(count).toBeGreaterThan(100);
  const small = newConnection();
  expect(countOf(() => small.ask('x'))).toBe(waitingPerConnection);
});

test('an address has eight megabytes of queued requests at most, over all its connections, and others are not limited by it', async () => {
  const address = { packets: undefined, budgets: new AddressBudgets(perAddress) };
  const all = Array.from({ length: perAddress.connections }, () => newConnection({ address }));
  let accepted = 0;
  for (const { ask } of all) accepted += countOf(() => ask(LONG));
  // The first request of each starts at once.
  expect((accepted - all.length) * 2 * LONG.length).toBeLessThanOrEqual(Number(perAddress.waitingBytes));
  const other = newConnection();
  expect(other.ask(LONG) && other.ask(LONG)).toBe(true);
  for (const { open } of all) open();
  await Promise.all(all.map(({ settled }) => settled()));
  expect(address.budgets.queuedBytes?.usedBytes).toBe(0);
});

test('the queued requests of the node are bounded, and freed when they are done', async () => {
  const { ask, open, settled, waiting } = newConnection({ node: 100_000 });
  const count = countOf(() => ask(LONG));
  expect(count).toBeLessThan(20);
  open();
  await settled();
  expect(waiting.usedBytes).toBe(0);
  expect(ask(LONG)).toBe(true);
});

test('while a room is blocked a flood of large chats is refused as busy, and all accepted chats are stored in order', async () => {
  let open = (): void => undefined;
  let gate: Promise<void> | undefined;
  const inner = await newStore();
  const store = withOverrides(inner, {
    async append(room, append) {
      if (room === 'stuck') await gate;
      return inner.append(room, append);
    },
  });
  const { url, expectUnharmed } = await startWithBystanders({ store, rateLimits: 'off' });
  const flooder = await connect(url, { extraHeaders: ATTACKER_HEADERS });
  await flooder.emitWithAck('create:room', { roomId: 'stuck', username: 'x' });
  gate = new Promise((resolve) => (open = resolve));
  const answers: { ok: boolean; error?: { code: string } }[] = [];
  const total = 300;
  for (let number = 0; number < total; number += 1) {
    const chat = { roomId: 'stuck', username: 'x', message: `${number} ${LONG.slice(10)}` };
    flooder.emit('create:chat', chat, (answer: (typeof answers)[number]) => answers.push(answer));
  }
  await until(() => answers.length > 50, 'some are refused');
  await expectUnharmed();
  expect(new Set(answers.map(({ error }) => error?.code))).toEqual(new Set(['busy']));
  open();
  await until(() => answers.length === total, 'all are answered');
  const stored = answers.filter(({ ok }) => ok).length;
  expect((await inner.read('stuck', {})).head).toBe(stored + 2);
  const { entries } = await inner.readPage('stuck', { after: 2, limit: 50 });
  const numbers = entries.map(({ body }) => Number((body as { message: string }).message.split(' ', 1)[0]));
  expect(numbers).toEqual(Array.from({ length: 50 }, (_, each) => each));
});
