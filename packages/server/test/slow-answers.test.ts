/** Clients that request much and read little: an answer is made only when earlier ones are read, and other clients are not affected. */
import { LIMITS } from '@engawa/protocol';
import type { Store } from '@engawa/server';
import { connectRaw, openRawPolling, openRawWebSocket, type RawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { connect, requestOk, startServer, until, withOverrides } from '@engawa/testkit/processes/server';
import { newStore } from '@engawa/testkit/stores';
import { expect, test } from 'vitest';
import { MAX_RESPONSE_BYTES } from '#domain/response-budget.js';
import { ATTACKER_HEADERS, type BystanderScenario, forwardedFor, ROOM, startWithBystanders } from './helpers/bystanders.ts';

const LONG = '部'.repeat(LIMITS.textCodePoints);
const MIB = 1024 * 1024;
/** More answers of a megabyte than the operating system buffers for a connection. */
const MANY = 40;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** A server with a room of a megabyte of chats, and the number of large pages that were read. */
async function setUp(options: Parameters<typeof startWithBystanders>[0] = {}): Promise<BystanderScenario & { pages: () => number }> {
  const inner = await newStore();
  let pages = 0;
  const store = withOverrides(inner, {
    readPage(...asked) {
      if (asked[1].listed && asked[1].limit === LIMITS.pageMax) pages += 1;
      return inner.readPage(...asked);
    },
  });
  const running = await startWithBystanders({ store, rateLimits: 'off', ...options });
  await fill(inner);
  return { ...running, pages: () => pages };
}

async function fill(store: Store): Promise<void> {
  const { epoch } = await store.read(ROOM, {});
  for (const index of upTo(100)) {
    const chat = { id: `chat ${index}`, by: 'x', author: 'x', kind: 'create:chat', body: { message: LONG }, listed: true };
    await store.append(ROOM, { epoch, expectedVersions: [], drafts: [chat] });
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const question = (number: number): string => `42${number}["list:chats",{"roomId":"${ROOM}","limit":${LIMITS.pageMax}}]`;
const answersIn = (raw: RawWebSocket): number => raw.received.filter((packet) => /^43\d+\[\{"ok":true,"roomId"/.test(packet)).length;

async function slowReader(url: string, name: string, headers: Record<string, string> = ATTACKER_HEADERS): Promise<RawWebSocket> {
  const raw = await connectRaw(await openRawWebSocket(url, { headers }));
  await raw.send(`420["add:member",{"roomId":"${ROOM}","username":"${name}"}]`);
  await raw.waitForPacket(/^430\[\{"ok":true/);
  raw.socket.pause();
  return raw;
}

/** Resolves when no page was read for a while. */
async function untilNoMore(pages: () => number): Promise<number> {
  for (let before = -1; pages() !== before; ) {
    before = pages();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return pages();
}

test('for a client that does not read, answers are made after earlier ones are written, and all are once it reads', async () => {
  const { url, io, pages, expectUnharmed } = await setUp();
  const raw = await slowReader(url, 'sleeper');
  await raw.send(...upTo(MANY).map((each) => question(each + 1)));
  const made = await untilNoMore(pages);
  expect(made).toBeLessThan(MANY);
  const [id] = [...io.sockets.sockets.keys()].slice(-1);
  const conn = io.sockets.sockets.get(String(id))?.conn as unknown as { transport: { socket: { bufferedAmount: number } } };
  expect(conn.transport.socket.bufferedAmount).toBeLessThan(MAX_RESPONSE_BYTES + MIB / 4);
  await expectUnharmed();
  raw.socket.resume();
  await until(() => answersIn(raw) === MANY + 1, 'all are answered', 30_000);
  await expectUnharmed();
});

test('so they are for a client that polls and fetches nothing', async () => {
  const { url, pages, expectUnharmed } = await setUp({ stallTimeoutMs: 3_000 });
  const raw = await openRawPolling(url, { headers: ATTACKER_HEADERS, polls: false });
  await raw.send('40');
  await raw.send(`420["add:member",{"roomId":"${ROOM}","username":"sleeper"}]`);
  await raw.send(...upTo(MANY).map((each) => question(each + 1)));
  expect(await untilNoMore(pages)).toBe(1);
  await expectUnharmed();
});

test('a client that does not read for too long is disconnected, with any queue, over both transports', async () => {
  const { url, io, pages, expectUnharmed } = await setUp({ stallTimeoutMs: 600 });
  const raw = await slowReader(url, 'sleeper');
  const polling = await openRawPolling(url, { headers: ATTACKER_HEADERS, polls: false });
  await polling.send('40');
  await raw.send(...upTo(MANY).map((each) => question(each + 1)));
  await until(() => io.engine.clientsCount === 2, 'both are disconnected');
  expect(pages()).toBeLessThan(MANY);
  await expectUnharmed();
});

test('a slow reader is not disconnected', async () => {
  const { url, io } = await setUp({ stallTimeoutMs: 1_000 });
  const raw = await slowReader(url, 'slow');
  await raw.send(...upTo(MANY).map((each) => question(each + 1)));
  for (let read = 0; read < MANY; ) {
    raw.socket.resume();
    await until(() => answersIn(raw) > read, 'it has read something');
    raw.socket.pause();
    read = answersIn(raw);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(io.engine.clientsCount).toBe(3);
  }
});

test('all unread data of one address is bounded, and another address is answered meanwhile', async () => {
  const { url, io, pages, expectUnharmed } = await setUp({ rateLimits: 'on', trustedProxies: 1 });
  const connections = 20;
  const raws = await Promise.all(upTo(connections).map((each) => slowReader(url, `sleeper ${each}`)));
  for (const raw of raws) await raw.send(...upTo(20).map((each) => question(each + 1)));
  await untilNoMore(pages);
  const sockets = [...io.sockets.sockets.values()] as unknown as { conn: { transport: { socket: { bufferedAmount: number } } } }[];
  const unread = sockets.reduce((sum, { conn }) => sum + conn.transport.socket.bufferedAmount, 0);
  expect(unread).toBeGreaterThan(MIB);
  expect(unread).toBeLessThan(Number(LIMITS.perAddress.responseBytes) + (connections * MIB) / 2);
  const other = await connect(url, { extraHeaders: forwardedFor('203.0.113.99') });
  await requestOk(other, 'add:member', { roomId: ROOM, username: 'other' });
  expect((await requestOk(other, 'list:chats', { roomId: ROOM, limit: LIMITS.pageMax })).chats.length).toBeGreaterThan(50);
  await expectUnharmed();
});

test('queries of a disconnected client are no longer answered, but its chats are stored', async () => {
  const inner = await newStore();
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  let asked = 0;
  const store = withOverrides(inner, {
    async listRooms(...args) {
      asked += 1;
      await gate;
      return inner.listRooms(...args);
    },
  });
  const { url } = await startServer({ store, rateLimits: 'off' });
  const raw = await connectRaw(await openRawWebSocket(url));
  await raw.send(`420["create:room",{"roomId":"${ROOM}","username":"aya"}]`);
  await raw.waitForPacket(/^430/);
  await raw.send(...upTo(50).map((each) => `42${each + 1}["list:rooms",{}]`));
  await raw.send(`4299["create:chat",{"roomId":"${ROOM}","username":"aya","message":"last words"}]`);
  await until(() => asked === 1, 'the first is being answered');
  raw.socket.close();
  await raw.closed;
  await new Promise((resolve) => setTimeout(resolve, 50));
  open();
  await until(async () => (await inner.read(ROOM, {})).head === 3, 'the chat is stored');
  expect(asked).toBe(1);
});
