/** The limits of a client, an address and a page, and the allowed origins of browsers. */

import { connect as connectTcp } from 'node:net';
import { type ErrorPayload, LIMITS, type RateLimit } from '@engawa/protocol';
import type { Store } from '@engawa/server';
import { attack, connectRaw, openRawPolling, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import {
  collectEvents,
  connect,
  newClient,
  nextEvent,
  requestError,
  requestOk,
  sendAny,
  sendRequest,
  startServer,
  until,
  withTimeout,
} from '@engawa/testkit/processes/server';
import { newStore, storeKinds } from '@engawa/testkit/stores';
import { pino } from 'pino';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { ATTACKER_HEADERS, forwardedFor, ROOM, startWithBystanders } from './helpers/bystanders.ts';

const { rates, perAddress } = LIMITS;
const SEVERAL = 5;
/** More requests than any rate refills during a test. */
const EXCESS = 50;
const refusal = (code: string) => ({ ok: false, error: { code } });
const allOf = <Result>(count: number, make: (each: number) => Promise<Result>): Promise<Result[]> =>
  Promise.all(Array.from({ length: count }, (_, each) => make(each)));

/** Answers by their codes, the successful ones as `ok`. */
function tally(answers: unknown[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers as { ok: boolean; error?: ErrorPayload }[]) {
    const code = answer.ok ? 'ok' : String(answer.error?.code);
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}

/** Sends more requests than the rate allows at once: as many pass as it allows in that time, the others get the time to wait. */
async function spend({ burst, perSecond }: RateLimit, make: (each: number) => Promise<unknown>): Promise<number> {
  const began = performance.now();
  const asked = burst + Math.max(EXCESS, 5 * perSecond);
  const answers = await allOf(asked, make);
  const refilled = Math.ceil(((performance.now() - began) / 1000) * perSecond);
  const { ok = 0, rate_limited = 0 } = tally(answers);
  expect(ok + rate_limited).toBe(asked);
  expect(ok).toBeGreaterThanOrEqual(burst);
  expect(ok).toBeLessThanOrEqual(burst + refilled);
  const { retryable, retryAfterMs = 0 } = firstRefusal(answers);
  expect(retryable).toBe(true);
  expect(retryAfterMs).toBeGreaterThan(0);
  expect(retryAfterMs).toBeLessThanOrEqual(1000 / perSecond);
  return retryAfterMs;
}

const firstRefusal = (answers: unknown[]): ErrorPayload => (answers as { error?: ErrorPayload }[]).find(({ error }) => error)!.error!;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A client with this option receives retryable refusals. */
const RETRIES = { auth: { retries: true } };

/** The error with which the server refuses a client. */
const turnedAway = (socket: Socket): Promise<ErrorPayload> =>
  withTimeout(
    new Promise((resolve, reject) => {
      socket
        .once('connect_error', (error) => resolve((error as Error & { data: ErrorPayload }).data))
        .once('connect', () => reject(new Error('was admitted')));
    }),
    'a refusal',
  );

describe('sizes', () => {
  const framed = (bytes: number): string => {
    const [head, tail] = ['427["list:rooms",{},"', '"]'];
    return `${head}${'x'.repeat(bytes - head.length - tail.length)}${tail}`;
  };

  test('a WebSocket message of 64 KiB passes, one byte more ends that connection only', async () => {
    const { url, expectUnharmed } = await startWithBystanders();
    const client = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
    expect(await attack(client, [framed(LIMITS.frameBytes)])).toEqual([]);
    expect(client.received.filter((packet) => packet.startsWith('437[{"ok":true'))).toHaveLength(1);
    await client.send(framed(LIMITS.frameBytes + 1));
    expect(await withTimeout(client.code, 'the end of the connection')).toBe(1009);
    await expectUnharmed();
  });

  test('a polling body of 64 KiB passes, one byte more is refused', async () => {
    const { url, expectUnharmed } = await startWithBystanders();
    const client = await connectRaw(await openRawPolling(url, { headers: ATTACKER_HEADERS }));
    expect(await client.postBody(framed(LIMITS.frameBytes))).toBe(200);
    await client.waitForPacket(/^437\[\{"ok":true/);
    expect(await client.postBody(framed(LIMITS.frameBytes + 1))).toBe(413);
    await expectUnharmed();
  });

  test.each(storeKinds)(
    'a text of 4,000 emoji of four bytes is stored unchanged, one of 4,001 is refused, on the %s store',
    async (_, open) => {
      const { aya, ben, expectUnharmed } = await startWithBystanders({ store: await open() });
      const say = (message: string) => sendRequest(aya, 'create:chat', { roomId: ROOM, username: 'aya', message });
      const longest = '😀'.repeat(LIMITS.textCodePoints);
      const receives = nextEvent(ben, 'create:chat:success');
      expect(await say(longest)).toMatchObject({ ok: true });
      expect((await receives).message).toBe(longest);
      expect((await requestOk(ben, 'list:chats', { roomId: ROOM, limit: 1 })).chats[0]?.message).toBe(longest);
      for (const long of [`${longest}😀`, `${longest}a`, 'a'.repeat(LIMITS.textCodePoints + 1)])
        expect(await say(long)).toMatchObject(refusal('invalid_payload'));
      expect(await say('a'.repeat(LIMITS.textCodePoints))).toMatchObject({ ok: true });
      await expectUnharmed();
    },
  );

  test.each(storeKinds)('a text has 16,000 bytes as JSON at most, however few its characters, on the %s store', async (_, open) => {
    const store = await open();
    const { aya, ben, expectUnharmed } = await startWithBystanders({ store });
    const longest = `${'\u0001'.repeat(2_666)}aaaa`;
    expect(Buffer.byteLength(JSON.stringify(longest)) - 2).toBe(LIMITS.textBytes);
    const { seq } = await requestOk(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: longest });
    expect((await requestOk(ben, 'list:chats', { roomId: ROOM, limit: 1 })).chats[0]?.message).toBe(longest);
    const message = `${longest}a`;
    const limit = { code: 'invalid_payload', message: 'message: must be at most 4000 characters, and 16000 bytes as JSON' };
    expect(await requestError(aya, 'create:chat', { roomId: ROOM, username: 'aya', message })).toMatchObject(limit);
    expect(await requestError(aya, 'update:chat', { roomId: ROOM, username: 'aya', chatSeq: seq, message })).toMatchObject(limit);
    expect((await store.readPage(ROOM, { limit: 1 })).head).toBe(seq);
    await expectUnharmed();
  });

  test('a topic has 500 code points at most, and 2,000 bytes as JSON', async () => {
    const { aya } = await startWithBystanders();
    const escaped = '\u0001'.repeat(334);
    expect(await requestError(aya, 'update:room', { roomId: ROOM, username: 'aya', topic: escaped })).toMatchObject({
      message: 'topic: must be at most 500 characters, and 2000 bytes as JSON',
    });
    expect((await requestError(aya, 'create:room', { roomId: 'attic', username: 'aya', topic: escaped })).code).toBe('invalid_payload');
    const topic = '😀'.repeat(LIMITS.topicCodePoints);
    await requestOk(aya, 'update:room', { roomId: ROOM, username: 'aya', topic });
    expect((await requestError(aya, 'update:room', { roomId: ROOM, username: 'aya', topic: `${topic}a` })).code).toBe('invalid_payload');
  });

  test('a payload of 16 levels passes, one of 17 is refused', async () => {
    const { aya } = await startWithBystanders();
    const levels = (count: number): object => (count === 1 ? {} : { deeper: levels(count - 1) });
    const say = (depth: number) => sendAny(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: 'x', deeper: levels(depth - 1) });
    expect(await say(LIMITS.jsonDepth)).toMatchObject({ ok: true });
    expect(await say(LIMITS.jsonDepth + 1)).toMatchObject(refusal('invalid_payload'));
  });

  test('a payload of 4,000 values passes, a larger one is refused before validation', async () => {
    const { aya } = await startWithBystanders();
    const said = { roomId: ROOM, username: 'aya', message: 'x' };
    const say = (values: number) =>
      // Itself, its four fields, and the items of one of them.
      sendAny(aya, 'create:chat', { ...said, more: Array.from({ length: values - 5 }, () => 0) });
    expect(await say(LIMITS.jsonValues)).toMatchObject({ ok: true });
    const refused = { ok: false, error: { message: 'The payload has more than 16 levels, or 4000 values.' } };
    expect(await say(LIMITS.jsonValues + 1)).toMatchObject(refused);
    const rooms = Array.from({ length: 15_000 }, () => ({}));
    expect(await sendAny(aya, 'resume:rooms', { rooms })).toMatchObject(refused);
    const { error } = (await sendAny(aya, 'resume:rooms', { rooms: rooms.slice(0, LIMITS.roomsPerResume) })) as { error: object };
    expect(error).toMatchObject({ code: 'invalid_payload', message: 'rooms.0.roomId: is missing' });
  });

  test.each(['x'.repeat(128), 'é'.repeat(64), '😀'.repeat(32)])('room, name and client id have 128 bytes at most: %s', async (longest) => {
    const { ben } = await startWithBystanders();
    await requestOk(ben, 'create:room', { roomId: longest, username: longest });
    await requestOk(ben, 'create:chat', { roomId: longest, username: longest, message: 'x', clientId: longest });
    const longer = `${longest}x`;
    for (const long of [{ roomId: longer }, { username: longer }, { clientId: longer }]) {
      expect((await requestError(ben, 'create:room', { roomId: 'other', username: 'ben', ...long })).code).toBe('invalid_payload');
    }
  });

  test('a page has 500 items at most, and 50 by default', async () => {
    const { aya } = await startWithBystanders({ rateLimits: 'off' });
    await allOf(LIMITS.pageMax + 1, () => requestOk(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: 'x' }));
    expect((await requestOk(aya, 'list:chats', { roomId: ROOM })).chats).toHaveLength(LIMITS.pageDefault);
    expect((await requestOk(aya, 'list:chats', { roomId: ROOM, limit: LIMITS.pageMax })).chats).toHaveLength(LIMITS.pageMax);
    for (const [event, where] of [
      ['list:chats', { roomId: ROOM }],
      ['list:members', { roomId: ROOM }],
      ['list:entries', { roomId: ROOM, epoch: 'any', seq: 0 }],
      ['list:rooms', {}],
    ] as const) {
      expect(await sendAny(aya, event, { ...where, limit: LIMITS.pageMax + 1 })).toMatchObject(refusal('invalid_payload'));
    }
  });
});

describe('rates', () => {
  test('a connection sends 100 packets at once, then gets the time to wait, and is served after it', async () => {
    const { url, expectUnharmed } = await startWithBystanders();
    const client = await connect(url, { extraHeaders: ATTACKER_HEADERS });
    await pause(await spend(rates.packets, () => sendRequest(client, 'list:rooms', {})));
    await requestOk(client, 'list:rooms', {});
    await expectUnharmed();
  });

  test.each([
    ['unknown events', 'no:such', {}],
    ['payloads that are not valid', 'create:chat', {}],
    ['deletions where one is not', 'delete:chat', { roomId: 'nowhere', username: 'x', chatSeq: 1 }],
  ])('%s count like others', async (_, event, payload) => {
    const { url } = await startWithBystanders();
    const client = await connect(url, { extraHeaders: ATTACKER_HEADERS });
    const answers = await allOf(rates.packets.burst + EXCESS, () => sendAny(client, event, payload));
    expect(tally(answers).rate_limited).toBeGreaterThan(0);
    expect(tally(answers).rate_limited).toBeLessThanOrEqual(EXCESS);
  });

  test('a member sends 20 chats at once in a room, which does not limit their other rooms', async () => {
    const { aya, ben } = await startWithBystanders();
    for (const roomId of ['one', 'two']) await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(ben, 'add:member', { roomId: 'one', username: 'ben' });
    const say = (roomId: string) => sendRequest(aya, 'create:chat', { roomId, username: 'aya', message: 'x' });
    const receivedByBen = collectEvents(ben, 'create:chat:success');
    const retryAfterMs = await spend(rates.chats, () => say('one'));
    expect((await say('two')).ok).toBe(true);
    await pause(retryAfterMs);
    expect((await say('one')).ok).toBe(true);
    const { chats } = await requestOk(ben, 'list:chats', { roomId: 'one' });
    expect(receivedByBen.map(({ seq }) => seq)).toEqual(chats.map(({ seq }) => seq));
  });

  test('the operator sets or lifts the chat rate of an author, and join replies state it', async () => {
    for (const [chatRate, chats] of [
      [2, { burst: 40, perSecond: 2 }],
      [0, null],
    ] as const) {
      const { aya } = await startWithBystanders({ chatRate });
      const { limits } = await requestOk(aya, 'create:room', { roomId: 'one', username: 'aya' });
      expect(limits.rates?.chats).toEqual(chats);
      const say = (count: number) => {
        const said = Array.from({ length: count }, () => ({ message: 'x' }));
        return sendRequest(aya, 'create:chats', { roomId: 'one', username: 'aya', chats: said });
      };
      expect((await say(40)).ok).toBe(true);
      expect(await say(30)).toMatchObject(chats ? { ok: false, error: { code: 'rate_limited' } } : { ok: true });
    }
  });

  test('a member who joins and chats in the same moment has no larger chat budget', async () => {
    const { ben, aya } = await startWithBystanders();
    await requestOk(aya, 'create:room', { roomId: 'one', username: 'aya' });
    const join = sendRequest(ben, 'add:member', { roomId: 'one', username: 'ben' });
    await spend(rates.chats, () => sendRequest(ben, 'create:chat', { roomId: 'one', username: 'ben', message: 'x' }));
    expect(await join).toMatchObject({ ok: true });
  });

  test('a connection enters 20 rooms at once, opened or joined, and more after the stated time', async () => {
    const { url, aya, expectUnharmed } = await startWithBystanders();
    const client = await connect(url, { extraHeaders: ATTACKER_HEADERS });
    await requestOk(client, 'add:member', { roomId: ROOM, username: 'client' });
    const left = { ...rates.joins, burst: rates.joins.burst - 1 };
    await pause(await spend(left, (each) => sendRequest(client, 'create:room', { roomId: `r${each}`, username: 'client' })));
    await requestOk(client, 'add:member', { roomId: ROOM, username: 'client' });
    expect((await requestOk(aya, 'list:rooms', {})).rooms.length).toBeGreaterThanOrEqual(rates.joins.burst);
    await expectUnharmed();
  });

  test('an address sends 1,000 packets at once, over any number of connections; other addresses are not limited by it', async () => {
    const { url, expectUnharmed } = await startWithBystanders();
    const clients = await allOf(2 * (perAddress.packets.burst / rates.packets.burst), () =>
      connect(url, { extraHeaders: ATTACKER_HEADERS }),
    );
    const next = (each: number) => sendRequest(clients[each % clients.length] as Socket, 'list:rooms', {});
    await pause(await spend(perAddress.packets, next));
    expect(await next(0)).toMatchObject({ ok: true });
    await expectUnharmed();
  });

  test('an address has 50 connections at once; one more is refused with a code, and admitted when another one ends', async () => {
    const { url, expectUnharmed } = await startWithBystanders();
    const clients = await allOf(perAddress.connections, () => connect(url, { extraHeaders: ATTACKER_HEADERS }));
    expect(await turnedAway(newClient(url, { ...RETRIES, extraHeaders: ATTACKER_HEADERS }))).toMatchObject({
      code: 'too_many_connections',
      retryable: true,
    });
    await connect(url, { extraHeaders: forwardedFor('203.0.113.8') });
    clients[0]?.disconnect();
    await until(
      async () =>
        connect(url, { extraHeaders: ATTACKER_HEADERS }).then(
          () => true,
          () => false,
        ),
      'there is a place',
    );
    await expectUnharmed();
  });

  test('an address connects 100 times at once, then gets the time to wait', async () => {
    const { url, expectUnharmed } = await startWithBystanders();
    const refusals: ErrorPayload[] = [];
    for (let times = 0; refusals.length === 0 && times < 10 * perAddress.connects.burst; times += 10) {
      const clients = Array.from({ length: 10 }, () => newClient(url, { ...RETRIES, extraHeaders: ATTACKER_HEADERS }));
      for (const client of clients) client.on('connect_error', (error) => refusals.push((error as Error & { data: ErrorPayload }).data));
      await until(() => clients.every((client) => client.connected || !client.active), 'all are in or refused');
      for (const client of clients) client.disconnect();
    }
    expect(refusals[0]).toMatchObject({ code: 'rate_limited', retryable: true });
    expect(refusals[0]?.retryAfterMs).toBeLessThanOrEqual(1000 / perAddress.connects.perSecond);
    await until(
      () =>
        connect(url, { extraHeaders: ATTACKER_HEADERS }).then(
          () => true,
          () => false,
        ),
      'it may connect again',
    );
    await expectUnharmed();
  });

  test('a connection is in 1,000 rooms at most, with the rates lifted too', async () => {
    const { aya } = await startWithBystanders({ rateLimits: 'off', quotaRoomsPerSession: 0 });
    const open = (each: number) => sendRequest(aya, 'create:room', { roomId: `r${each}`, username: 'aya' });
    const last = LIMITS.roomsPerConnection - 1;
    expect(tally(await allOf(last, open))).toEqual({ ok: last });
    expect((await requestError(aya, 'create:room', { roomId: 'one more', username: 'aya' })).code).toBe('too_many_rooms');
    expect((await sendRequest(aya, 'add:member', { roomId: 'r0', username: 'aya' })).ok).toBe(true);
    await requestOk(aya, 'remove:member', { roomId: 'r0', username: 'aya' });
    await requestOk(aya, 'create:room', { roomId: 'one more', username: 'aya' });
  });

  test('a connection has 1,000 queued commands at most: the next is refused as busy, and all others are answered', async () => {
    const gate = gated(await newStore());
    const { url, expectUnharmed } = await startWithBystanders({ store: gate.store, rateLimits: 'off' });
    const client = await connect(url, { extraHeaders: ATTACKER_HEADERS });
    gate.close(ROOM);
    const answers: unknown[] = [];
    const total = LIMITS.waitingPerConnection + SEVERAL;
    for (let each = 0; each < total; each += 1)
      client.emit('add:member', { roomId: ROOM, username: 'client' }, (answer: unknown) => answers.push(answer));
    await until(() => answers.length >= SEVERAL, 'the refusals');
    expect(answers).toMatchObject(Array.from({ length: SEVERAL }, () => ({ ok: false, error: { code: 'busy', retryable: true } })));
    gate.open();
    await until(() => answers.length === total, 'all answers');
    expect(tally(answers)).toEqual({ ok: LIMITS.waitingPerConnection, busy: SEVERAL });
    await expectUnharmed();
  });

  test("rateLimits: 'off' lifts the rates, and the join reply says so", async () => {
    const { url, expectUnharmed } = await startWithBystanders({ rateLimits: 'off' });
    const clients = await allOf(perAddress.connects.burst + SEVERAL, () => connect(url, { extraHeaders: ATTACKER_HEADERS }));
    const client = clients[0] as Socket;
    expect(await requestOk(client, 'add:member', { roomId: ROOM, username: 'client' })).toMatchObject({
      limits: {
        ...LIMITS,
        rates: null,
        perAddress: Object.fromEntries(Object.keys(perAddress).map((name) => [name, null])),
        quotas: { ...LIMITS.quotas, roomsPerSession: null },
      },
    });
    const answers = await allOf(5 * rates.chats.burst + rates.packets.burst, () =>
      sendRequest(client, 'create:chat', { roomId: ROOM, username: 'client', message: 'x' }),
    );
    expect(Object.keys(tally(answers))).toEqual(['ok']);
    await expectUnharmed();
  });

  test('the replies to a join and to opening a room state the limits of the protocol', async () => {
    const { url } = await startServer();
    const [aya, ben] = [await connect(url), await connect(url)];
    expect((await requestOk(aya, 'create:room', { roomId: ROOM, username: 'aya' })).limits).toEqual(LIMITS);
    expect((await requestOk(ben, 'add:member', { roomId: ROOM, username: 'ben' })).limits).toEqual(LIMITS);
  });
});

describe('a client that does not read its answers', () => {
  const flood = Array.from({ length: 500 }, () => `427["${'x'.repeat(100)}",{}]`);

  test('over a WebSocket is disconnected; a client that reads is only refused', async () => {
    const { url, io, expectUnharmed } = await startWithBystanders();
    const [reader, slowReader] = [
      await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS })),
      await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS })),
    ];
    slowReader.socket.pause();
    for (let times = 0; io.engine.clientsCount === 4 && times < 1_000; times += 1) {
      await slowReader.send(...flood);
      if (times < SEVERAL) expect(await attack(reader, flood.slice(0, 30))).not.toBe('closed');
    }
    await until(() => io.engine.clientsCount === 3, 'the client is disconnected');
    expect(reader.socket.readyState).toBe(reader.socket.OPEN);
    await expectUnharmed();
  });

  test('is disconnected for unread room events, though it sends nothing; the others receive all events', async () => {
    const { url, io, aya, ben, expectUnharmed } = await startWithBystanders({ rateLimits: 'off', stallTimeoutMs: 500 });
    const slowReader = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
    await slowReader.send(`42["add:member",{"roomId":"${ROOM}","username":"sleeper"}]`);
    await slowReader.waitForPacket(/add:member:success/);
    slowReader.socket.pause();
    const toBen = collectEvents(ben, 'create:chat:success');
    let said = 0;
    for (; io.engine.clientsCount === 3 && said < 20_000; said += 500)
      await allOf(500, () => requestOk(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: '部'.repeat(LIMITS.textCodePoints) }));
    await until(() => io.engine.clientsCount === 2, 'the client is disconnected');
    await until(() => toBen.length === said, 'ben has received everything');
    await expectUnharmed();
  });

  test('over polling is disconnected', async () => {
    const { url, io, expectUnharmed } = await startWithBystanders();
    const slowReader = await openRawPolling(url, { headers: ATTACKER_HEADERS, polls: false });
    await slowReader.send('40');
    await until(() => io.sockets.sockets.size === 3, 'the client is connected');
    for (let times = 0; io.engine.clientsCount === 3 && times < 100; times += 1) await slowReader.send(...flood);
    await until(() => io.engine.clientsCount === 2, 'the client is disconnected');
    await expectUnharmed();
  });

  test('is disconnected for the bytes of a few large answers, too', async () => {
    const { url, io, aya, expectUnharmed } = await startWithBystanders({ rateLimits: 'off', stallTimeoutMs: 500 });
    await allOf(300, () => requestOk(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: '部'.repeat(LIMITS.textCodePoints) }));
    const slowReader = await openRawPolling(url, { headers: ATTACKER_HEADERS, polls: false });
    await slowReader.send('40');
    await until(() => io.sockets.sockets.size === 3, 'the client is connected');
    await slowReader.send(`42["add:member",{"roomId":"${ROOM}","username":"sleeper"}]`);
    const asks = 64;
    await slowReader.send(...Array.from({ length: asks }, () => `42["list:chats",{"roomId":"${ROOM}","limit":500}]`));
    await until(() => io.engine.clientsCount === 2, 'the client is disconnected');
    await expectUnharmed();
  });

  test('does not stop a server from closing, and neither does a request without an answer', async () => {
    const { url, stop } = await startServer();
    const slowReader = await connectRaw(await openRawWebSocket(url));
    slowReader.socket.pause();
    const { hostname, port } = new URL(url);
    const half = connectTcp(Number(port), hostname);
    half.on('error', () => undefined).write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf');
    await withTimeout(new Promise((resolve) => half.once('data', resolve)), 'the server has taken the request');
    await withTimeout(stop(), 'the end of the server');
    half.destroy();
  });
});

describe('addresses', () => {
  const turnedAwayFrom = (url: string, forwarded: string) =>
    turnedAway(newClient(url, { ...RETRIES, extraHeaders: forwardedFor(forwarded) }));

  test('by default X-Forwarded-For changes no address', async () => {
    const { url } = await startServer();
    await allOf(perAddress.connections, (each) => connect(url, { extraHeaders: forwardedFor(`203.0.113.${each}`) }));
    expect(await turnedAwayFrom(url, '203.0.113.99')).toMatchObject({ code: 'too_many_connections' });
  });

  test('refusals behind an unknown proxy make the server log it, once', async () => {
    const lines: string[] = [];
    const { url } = await startServer({ log: pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) }) });
    await allOf(perAddress.connections, () => connect(url, { extraHeaders: forwardedFor('203.0.113.9') }));
    expect(lines).toEqual([]);
    await turnedAwayFrom(url, '203.0.113.10');
    await turnedAwayFrom(url, '203.0.113.11');
    expect(lines.filter((line) => line.includes('ENGAWA_TRUSTED_PROXIES'))).toHaveLength(1);
  });

  test('connections that send nothing are counted, and beyond twice the limit the handshake is refused', async () => {
    const { url } = await startServer();
    const { connections } = perAddress;
    const silent = await allOf(connections, () => openRawWebSocket(url));
    expect(await turnedAway(newClient(url, RETRIES))).toMatchObject({ code: 'too_many_connections' });
    await allOf(connections - 1, () => openRawWebSocket(url));
    const isRefused = () => openRawWebSocket(url).then(() => false, String);
    await until(async () => (await isRefused()) === 'Error: Unexpected server response: 429', 'one too many is refused');
    expect(silent.filter(({ socket }) => socket.readyState === socket.OPEN)).toHaveLength(connections);
  });

  test('behind one proxy only the entry that the proxy wrote sets the address', async () => {
    const { url } = await startServer({ trustedProxies: 1 });
    await allOf(perAddress.connections, (each) => connect(url, { extraHeaders: forwardedFor(`198.51.100.${each}, 203.0.113.9`) }));
    expect(await turnedAwayFrom(url, '198.51.100.99, 203.0.113.9')).toMatchObject({ code: 'too_many_connections' });
    await connect(url, { extraHeaders: forwardedFor('198.51.100.99, 203.0.113.10') });
  });
});

describe('origins', () => {
  const GOOD = 'https://good.example';
  const foreign = [
    'https://evil.example',
    'null',
    'https://good.example.evil.com',
    'https://evil.com/good.example',
    'https://evil.com/https://good.example',
    'HTTPS://GOOD.EXAMPLE',
    'https://GOOD.example',
    'https://good.example.',
    'https://good.example:8443',
    'https://good.example:443',
    'http://good.example',
    'https://good.example/',
    'https://www.good.example',
    'https://notgood.example',
    'https://good.example@evil.com',
    'good.example',
    'https://good.examplé',
    '*',
    `${GOOD}, ${GOOD}`,
  ];
  const polled = (url: string, headers: Record<string, string>, more = '') =>
    fetch(`${url}/socket.io/?EIO=4&transport=polling${more}`, { headers });
  const upgraded = (url: string, headers: Record<string, string>) => openRawWebSocket(url, { headers }).then(connectRaw);

  test.each(foreign)('the pages of %s are refused, over both transports', async (origin) => {
    const { url, expectUnharmed } = await startWithBystanders({ allowedOrigins: [GOOD] });
    await expect(upgraded(url, { origin: Buffer.from(origin).toString('latin1') })).rejects.toThrow('403');
    const response = await polled(url, { origin: Buffer.from(origin).toString('latin1') });
    expect(response.status).toBe(403);
    // The page may read the reason, and the answer has nothing else.
    expect(await response.json()).toEqual({
      error: 'origin_not_allowed',
      message: 'Pages of this origin may not connect.',
      retryable: false,
    });
    await expectUnharmed();
  });

  test.each([
    ['the page of the right one', { origin: GOOD }],
    ['a client that is not a page', {}],
  ] as const)('%s may connect, over both transports', async (_, headers) => {
    const { url } = await startServer({ allowedOrigins: ['https://other.example', GOOD] });
    await upgraded(url, { ...headers });
    const response = await polled(url, { ...headers });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe('origin' in headers ? GOOD : null);
    expect(response.headers.get('access-control-allow-credentials')).toBe('true');
  });

  test('by default every page may connect, and CORS headers allow it', async () => {
    const { url } = await startServer();
    for (const origin of [GOOD, 'https://evil.example', 'null']) {
      await upgraded(url, { origin });
      const response = await polled(url, { origin });
      expect(response.status).toBe(200);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });
});

/** A store whose operations on one room wait while its gate is closed. */
function gated(store: Store) {
  const read = store.read.bind(store);
  const gate = { passed: Promise.resolve(), shut: '', open: () => {} };
  store.read = async (room, asked) => {
    if (room === gate.shut) await gate.passed;
    return read(room, asked);
  };
  return {
    store,
    open: () => gate.open(),
    close: (room: string) => {
      gate.shut = room;
      gate.passed = new Promise((resolve) => (gate.open = resolve));
    },
  };
}
