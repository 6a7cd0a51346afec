/** Refused requests cost time too: a client that sends nothing else is disconnected with a reason, and the others stay. */
import { LIMITS } from '@engawa/protocol';
import { connectRaw, openRawPolling, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import {
  collectEvents,
  connect,
  requestOk,
  sendAny,
  sendRequest,
  until,
  withOverrides,
  withTimeout,
} from '@engawa/testkit/processes/server';
import { newStore } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { expect, test } from 'vitest';
import { ATTACKER_HEADERS, ROOM, startWithBystanders } from './helpers/bystanders.ts';

const { rates } = LIMITS;
/** The burst, and the tokens that may be refilled meanwhile. */
const MANY = rates.refusals.burst + 100;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const goneOf = (socket: Socket): Promise<string> => new Promise((resolve) => socket.once('disconnect', (reason) => resolve(reason)));

test.each([
  ['continues after rate_limited', 'list:rooms', {}],
  ['asks for events that there are not', 'no:such', {}],
  ['sends what is not valid', 'create:chat', { roomId: 7 }],
  ['asks what it may not', 'delete:room', { roomId: ROOM, username: 'aya' }],
])('a client that %s gets the reason, and is disconnected; the others stay', async (_, event, payload) => {
  const { url, expectUnharmed } = await startWithBystanders();
  const mallory = await connect(url, { extraHeaders: ATTACKER_HEADERS });
  const gone = goneOf(mallory);
  const received = collectEvents(mallory, 'error');
  let answered = 0;
  for (const _each of upTo(rates.packets.burst + MANY)) mallory.emit(event, payload, () => (answered += 1));
  // As after a network failure, the client may reconnect by itself.
  expect(await withTimeout(gone, 'the end of the connection')).toBe('transport close');
  expect(received).toMatchObject([{ code: 'too_many_refusals', retryable: true }]);
  expect(answered, 'each is answered until then').toBeLessThan(rates.packets.burst + MANY);
  expect(answered).toBeGreaterThanOrEqual(rates.refusals.burst);
  await expectUnharmed();
});

test('it is the same without acknowledgements, and over polling', async () => {
  const { url, io, expectUnharmed } = await startWithBystanders();
  const raw = await connectRaw(await openRawPolling(url, { headers: ATTACKER_HEADERS }));
  await raw.send(...upTo(MANY).map(() => '42["no:such",{}]'));
  await raw.waitForPacket(/too_many_refusals/);
  await until(() => io.engine.clientsCount === 2, 'the client is disconnected');
  await expectUnharmed();
});

test('a client that reads none of the refusals is disconnected without delay', async () => {
  const { url, io, expectUnharmed } = await startWithBystanders();
  const raw = await openRawPolling(url, { headers: ATTACKER_HEADERS, polls: false });
  await raw.send('40');
  await until(() => io.sockets.sockets.size === 3, 'it is connected');
  await raw.send(...upTo(MANY).map(() => '42["no:such",{}]'));
  await until(() => io.engine.clientsCount === 2, 'the client is disconnected');
  const slowReader = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  slowReader.socket.pause();
  await slowReader.send(...upTo(MANY).map(() => '42["no:such",{}]'));
  await until(() => io.engine.clientsCount === 2, 'the client is disconnected');
  await expectUnharmed();
});

test('occasional successes do not reset the count, and occasional refusals do not disconnect', async () => {
  const { url, expectUnharmed } = await startWithBystanders();
  const [flooder, clumsy] = [
    await connect(url, { extraHeaders: ATTACKER_HEADERS }),
    await connect(url, { extraHeaders: ATTACKER_HEADERS }),
  ];
  const gone = goneOf(flooder);
  for (let asked = 0; flooder.connected && asked < 100; asked += 1) {
    const asks = upTo(rates.refusals.burst / 4).map(() => flooder.emitWithAck('no:such', {}));
    await Promise.race([gone, Promise.all([...asks, sendRequest(flooder, 'list:rooms', { limit: 1 }).catch(() => undefined)])]);
  }
  expect(flooder.connected).toBe(false);
  for (const _second of upTo(4)) {
    await Promise.all(upTo(rates.refusals.perSecond / 4).map(() => sendAny(clumsy, 'no:such', {})));
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  expect(clumsy.connected).toBe(true);
  await expectUnharmed();
});

test('server errors do not count against the client', async () => {
  const inner = await newStore();
  let isBroken = false;
  const store = withOverrides(inner, {
    listRooms: (...asked) => (isBroken ? Promise.reject(new Error('the disk failed')) : inner.listRooms(...asked)),
  });
  const { url } = await startWithBystanders({ store });
  const client = await connect(url, { extraHeaders: ATTACKER_HEADERS });
  isBroken = true;
  for (const _each of upTo(60)) expect(await sendRequest(client, 'list:rooms', {})).toMatchObject({ ok: false });
  isBroken = false;
  expect(client.connected).toBe(true);
});

test('chats sent before the refusals are stored, also when sent in the same packet batch', async () => {
  const { url, store } = await startWithBystanders();
  const client = await connect(url, { extraHeaders: ATTACKER_HEADERS });
  await requestOk(client, 'create:room', { roomId: 'den', username: 'x' });
  const gone = goneOf(client);
  client.emit('create:chat', { roomId: 'den', username: 'x', message: 'kept' });
  for (const _each of upTo(MANY)) client.emit('no:such', {}, () => undefined);
  await withTimeout(gone, 'the end of the connection');
  expect((await store.readPage('den', { limit: 5 })).entries.some(({ body }) => body?.message === 'kept')).toBe(true);
});
