/** One network address that uses all of its limits at once: connections, rooms, requests, answers, and no client that reads. */
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LIMITS } from '@engawa/protocol';
import { type Draft, type Json, openEmbedded } from '@engawa/server';
import { connectRaw, openRawWebSocket, type RawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { createTempFolder } from '@engawa/testkit/folders';
import { until } from '@engawa/testkit/wait-for';
import { expect, onTestFinished, test } from 'vitest';
import { deriveAuthor } from '#connections/identity.js';

const SERVER = fileURLToPath(new URL('./helpers/measured-server.js', import.meta.url));
const MIB = 1024 * 1024;
/** The memory that one address may use at most, in bytes. */
const MOST_BYTES = 128 * MIB;
const { perAddress } = LIMITS;
const LONG = '部'.repeat(LIMITS.textCodePoints);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
/** Connections that request large pages, and the number of requests of each. */
const CURIOUS = 20;
const QUESTIONS = 14;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

interface Measured {
  url: string;
  /** Bytes that are live after a forced collection. */
  live: () => Promise<number>;
}

async function startMeasured(folder: string): Promise<Measured> {
  const child = fork(SERVER, [folder], { execArgv: ['--expose-gc'] });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const live = async (): Promise<number> => {
    child.send('live');
    const [answer] = (await once(child, 'message')) as [{ live: number }];
    return answer.live;
  };
  return { url: `http://127.0.0.1:${port}`, live };
}

/** A room with more than a megabyte of chats, and rooms for each session of which it is a member. */
async function fill(folder: string, sessions: string[], rooms: number): Promise<void> {
  const store = await openEmbedded({ folder });
  const draft = (author: string, kind: string, body = {}) => ({ id: randomUUID(), by: author, author, kind, body });
  const open = (room: string, member: Partial<Draft> = {}) => {
    const settings = { owner: 'x', topic: '' };
    const opening = { ...draft('x', 'create:room'), keyUpdates: [['settings', settings] as [string, Json]] };
    return store.append(room, { epoch: null, expectedVersions: [], drafts: [opening, { ...draft('x', 'add:member'), ...member }] });
  };
  await open('hall');
  const { epoch } = await store.read('hall', {});
  for (const _chat of upTo(100)) {
    const chat = { ...draft('x', 'create:chat', { message: LONG }), listed: true };
    await store.append('hall', { epoch, expectedVersions: [], drafts: [chat] });
  }
  const join = (session: string, room: number) => {
    const author = deriveAuthor(session);
    const key = 'member/x';
    const keyUpdates: Draft['keyUpdates'] = [[key, { username: 'x', author }]];
    const tickets = [{ holder: author, key, value: { username: 'x' } }];
    return open(roomOf(session, room), { author, keyUpdates, tickets, lease: { key, node: 'nobody' } });
  };
  for (const session of sessions) await Promise.all(upTo(rooms).map((room) => join(session, room)));
  await store.close();
}

const roomOf = (session: string, room: number): string => `${session} ${room}`;

async function askAll(raws: RawWebSocket[], time: number, ask: (connection: number) => [event: string, payload: object]): Promise<void> {
  for (const [connection, raw] of raws.entries()) await raw.send(`42${1_000 * time + connection}${JSON.stringify(ask(connection))}`);
}

/** The largest request of one packet: 200 rooms with long names. */
const longest = (time: number) =>
  upTo(LIMITS.roomsPerResume).map((room) => {
    const name = '部'.repeat(20);
    return { roomId: `${time} ${room} ${name}`, username: name, epoch: name, id: name, seq: 1 };
  });

test('an address that uses all of its limits takes less than 128 MiB, and the memory is freed afterwards', {
  timeout: 120_000,
}, async () => {
  const folder = createTempFolder();
  const first = upTo(perAddress.connections).map((each) => `session-${each}`.padEnd(32, '-'));
  // Each admits one more connection of its session beyond the limit.
  const sessions = [...first, ...first];
  const rooms = Math.floor(perAddress.memberships / sessions.length) - 1;
  await fill(folder, first, rooms);
  const { url, live } = await startMeasured(folder);
  const before = await live();

  const enter = async (session: string) => connectRaw(await openRawWebSocket(url), JSON.stringify({ session }));
  const raws = [...(await Promise.all(first.map(enter))), ...(await Promise.all(first.map(enter)))];
  await askAll(raws, 0, (connection) => ['add:member', { roomId: 'hall', username: `name ${connection}` }]);
  await askAll(raws, 1, (connection) => {
    const session = sessions[connection] as string;
    const held = (room: number) => ({ roomId: roomOf(session, room), username: 'x', epoch: 'x', seq: 0 });
    return ['resume:rooms', { rooms: upTo(rooms).map(held) }];
  });
  await until(() => raws.every(({ received }) => received.filter((packet) => packet.startsWith('43')).length === 2), 'all are in', 30_000);
  const [talker, ...slowReaders] = raws as [RawWebSocket, ...RawWebSocket[]];
  for (const raw of slowReaders) raw.socket.pause();

  // More answers of a megabyte than the operating system buffers for a connection.
  const curious = slowReaders.slice(0, CURIOUS);
  for (const time of upTo(QUESTIONS)) await askAll(curious, 2 + time, () => ['list:chats', { roomId: 'hall', limit: LIMITS.pageMax }]);
  let most = 0;
  await until(
    async () => {
      await pause(500);
      const now = (await live()) - before;
      const isMore = now > most + MIB;
      most = Math.max(most, now);
      return !isMore;
    },
    'no more answers are made',
    60_000,
  );
  // Their answers, and as many requests as may be queued.
  for (const time of upTo(20))
    await askAll([talker], 50 + time, () => ['create:chat', { roomId: 'hall', username: 'name 0', message: LONG }]);
  for (const time of upTo(10)) await askAll(slowReaders, 100 + time, () => ['resume:rooms', { rooms: longest(time) }]);
  await pause(1_000);
  most = Math.max(most, (await live()) - before);
  expect(slowReaders.every(({ socket }) => socket.readyState === socket.OPEN)).toBe(true);
  expect(most).toBeGreaterThan(Number(perAddress.responseBytes));
  expect(most).toBeLessThan(MOST_BYTES);

  for (const raw of raws) raw.socket.terminate();
  await until(async () => (await live()) - before < 24 * MIB, 'the memory is free again', 30_000);
});
