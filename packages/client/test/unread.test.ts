/** Unread counts on real servers: after a night, on two devices, and after each kind of change. */
import { type Client, connect, type Room } from '@engawa/client';
import { startServer, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { memoryStorage } from './helpers/clients.ts';

const ROOM = 'veranda';

async function setUp(options: Parameters<typeof startServer>[0] = {}) {
  const { url } = await startServer({ rateLimits: 'off', ...options });
  const open = (storage = memoryStorage()): Client => {
    const client = connect(url, { storage });
    onTestFinished(() => client.close());
    return client;
  };
  const ben = await open().join(ROOM, { username: 'ben', create: true });
  const storage = memoryStorage();
  const client = open(storage);
  return { open, ben, storage, client, aya: await client.join(ROOM, { username: 'aya' }) };
}

async function say(room: Room, message: string): Promise<number> {
  const sent = await room.send(message).settled;
  if (!sent.ok) throw new Error(sent.error.code);
  return sent.seq;
}

/** Expects these numbers of unread chats and mentions. */
async function has(room: Room, unread: number, mentions: number): Promise<void> {
  await until(() => room.unread === unread && room.mentions === mentions, `${unread} are unread, ${mentions} for her`).catch((error) => {
    throw new Error(`${(error as Error).message}: there are ${room.unread} and ${room.mentions}`);
  });
}

const reads = (room: Room, seq: number) => until(() => room.position.seq >= seq, 'she was notified');

test('after a night the chats of others are unread, and the list of rooms counts them before any join', async () => {
  const { open, ben, storage, client, aya } = await setUp({ graceMs: 100 });
  await reads(aya, await say(ben, 'good night'));
  aya.markRead();
  const { lastReadSeq } = aya;
  const marked = async () => {
    const listed = await ben.listMembers();
    return listed.ok && listed.members.find(({ username }) => username === 'aya')?.read === lastReadSeq;
  };
  await until(marked, 'her mark is stored');
  await client.close();
  await until(() => ben.members === 1, 'her name expired');
  for (const text of ['1', '2', '3', 'aya?', '5']) await say(ben, text);

  const morning = open(storage);
  const rooms = await morning.listRooms();
  expect(rooms).toMatchObject({ ok: true, rooms: [{ roomId: ROOM, read: lastReadSeq, unread: 5, mentions: 1 }] });
  const room = await morning.join(ROOM, { username: 'aya' });
  await has(room, 5, 1);
  expect(room.lastReadSeq).toBe(lastReadSeq);
  await until(() => room.state === 'live', 'she was notified');
  await has(room, 5, 1);
  room.markRead();
  await has(room, 0, 0);
});

test('own chats, edits and reactions, and joins and leaves of others, are not unread', async () => {
  const { open, ben, aya } = await setUp({ graceMs: 100 });
  const seq = await say(ben, 'hello');
  await reads(aya, seq);
  aya.markRead();
  const own = await say(aya, 'I am aya');
  await aya.edit(own, 'I, aya');
  await aya.react(seq, '👍');
  await ben.react(own, '👍');
  for (let times = 0; times < 2; times += 1) {
    const phone = open();
    await phone.join(ROOM, { username: 'phone' });
    await until(() => ben.members === 3, 'it is there');
    await phone.close();
    await until(() => ben.members === 2, 'its name expired');
  }
  await reads(aya, ben.position.seq);
  expect([aya.unread, aya.mentions]).toEqual([0, 0]);
});

test('unread counts follow edits, deletions and partial reads, here or on another device', async () => {
  const { open, ben, storage, aya } = await setUp();
  const first = await say(ben, 'one');
  const second = await say(ben, 'two, aya');
  const third = await say(ben, 'three');
  await has(aya, 3, 1);
  await ben.edit(first, 'one, @aya');
  await has(aya, 3, 2);
  await ben.delete(second);
  await has(aya, 2, 1);
  aya.markRead(first);
  await has(aya, 1, 0);
  const other = await open(storage).join(ROOM, { username: 'aya' });
  await has(other, 1, 0);
  await say(ben, 'four');
  const fifth = await say(ben, 'five');
  await Promise.all([has(aya, 3, 0), has(other, 3, 0)]);
  other.markRead(third);
  await Promise.all([has(aya, 2, 0), has(other, 2, 0)]);
  // The server counted them when the second client joined: only the server knows which of them are left.
  const late = await open(storage).join(ROOM, { username: 'aya' });
  await has(late, 2, 0);
  await ben.delete(fifth);
  await Promise.all([aya, other, late].map((room) => has(room, 1, 0)));
  aya.markRead();
  await Promise.all([aya, other, late].map((room) => has(room, 0, 0)));
});
