/** The chat budget of an author in a room covers all of their connections, in the room or not. */
import { LIMITS } from '@engawa/protocol';
import { connect, requestOk, sendRequest, startServer } from '@engawa/testkit/processes/server';
import { newStore } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { expect, test } from 'vitest';
import { KeyedTokenBuckets } from '#limits/keyed-token-buckets.js';

const { chats } = LIMITS.rates;
const roomId = 'veranda';
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

async function setUp(connections: number): Promise<{ sockets: Socket[]; url: string }> {
  const { url } = await startServer({ store: await newStore() });
  const first = await connect(url);
  const { session } = await requestOk(first, 'create:room', { roomId, username: 'aya' });
  const others = await Promise.all(upTo(connections - 1).map(() => connect(url, { auth: { session } })));
  return { sockets: [first, ...others], url };
}

/** How many of the chats of each connection were stored, and how many the refilled tokens allow at most. */
async function talk(sockets: Socket[], each: number): Promise<{ stored: number; most: number }> {
  const began = performance.now();
  const say = (socket: Socket) => sendRequest(socket, 'create:chat', { roomId, username: 'aya', message: 'x' });
  const answers = await Promise.all(sockets.flatMap((socket) => upTo(each).map(() => say(socket))));
  const codes = new Set(answers.flatMap((answer) => (answer.ok ? [] : [answer.error.code])));
  expect(codes).toEqual(new Set(['rate_limited']));
  const refilled = Math.ceil(((performance.now() - began) / 1000) * chats.perSecond);
  return { stored: answers.filter(({ ok }) => ok).length, most: chats.burst + refilled };
}

test('a second connection that did not join the room has no chat budget of its own', async () => {
  const { sockets } = await setUp(2);
  const { stored, most } = await talk(sockets.slice(1), 60);
  expect(stored).toBeGreaterThanOrEqual(chats.burst);
  expect(stored).toBeLessThanOrEqual(most);
});

test('connections of one author share one chat budget, joined or not', async () => {
  const { sockets } = await setUp(4);
  for (const socket of sockets.slice(0, 2)) await requestOk(socket, 'add:member', { roomId, username: 'aya' });
  const { stored, most } = await talk(sockets, 20);
  expect(stored).toBeGreaterThanOrEqual(chats.burst);
  expect(stored).toBeLessThanOrEqual(most);
});

test('a client that drops and reconnects has no new budget', async () => {
  const { sockets, url } = await setUp(1);
  const { session } = await requestOk(sockets[0]!, 'add:member', { roomId, username: 'aya' });
  const before = await talk(sockets, 40);
  sockets[0]?.disconnect();
  const again = await connect(url, { auth: { session } });
  const after = await talk([again], 40);
  expect(before.stored + after.stored).toBeLessThanOrEqual(before.most + after.most - chats.burst + 1);
});

test('edits of chats count as chats', async () => {
  const { sockets } = await setUp(1);
  const aya = sockets[0]!;
  const { seq: chatSeq } = await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'first' });
  const edits = await Promise.all(
    upTo(60).map((each) => sendRequest(aya, 'update:chat', { roomId, username: 'aya', chatSeq, message: `text ${each}` })),
  );
  expect(edits.filter(({ ok }) => ok).length).toBeLessThan(chats.burst + 3);
  expect(await sendRequest(aya, 'create:chat', { roomId, username: 'aya', message: 'x' })).toMatchObject({
    ok: false,
    error: { code: 'rate_limited' },
  });
  expect(await sendRequest(aya, 'delete:chat', { roomId, username: 'aya', chatSeq }), 'to delete is not to say').toMatchObject({
    ok: true,
  });
});

test('another room, and another author in the same room, have their own budgets', async () => {
  const { sockets, url } = await setUp(1);
  const aya = sockets[0]!;
  await talk(sockets, 40);
  await requestOk(aya, 'create:room', { roomId: 'other', username: 'aya' });
  expect(await sendRequest(aya, 'create:chat', { roomId: 'other', username: 'aya', message: 'x' })).toMatchObject({ ok: true });
  const ben = await connect(url);
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  expect(await sendRequest(ben, 'create:chat', { roomId, username: 'ben', message: 'x' })).toMatchObject({ ok: true });
});

test('full buckets are removed, and their number is bounded', () => {
  const buckets = new KeyedTokenBuckets({ burst: 1, perSecond: 1e9 }, 1_000);
  for (const each of upTo(10_000)) expect(buckets.takeOrError(`author ${each}`)).toBeUndefined();
  expect(buckets.size).toBeLessThanOrEqual(512);
  expect(buckets.areAllFull()).toBe(true);
  const slow = new KeyedTokenBuckets({ burst: 1, perSecond: 1e-9 }, 1_000);
  for (const each of upTo(10_000)) slow.takeOrError(`author ${each}`);
  expect(slow.size).toBe(1_000);
  expect(slow.areAllFull()).toBe(false);
  expect(slow.takeOrError('author 9999')).toMatchObject({ code: 'rate_limited' });
  slow.refund('author 9999');
  expect(slow.takeOrError('author 9999')).toBeUndefined();
});
