/** Several clients of one real server. */
import { type Client, type ClientOptions, connect, type Room } from '@engawa/client';
import { startServer, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { memoryStorage } from './helpers/clients.ts';

const replies = (room: Room) => room.timeline.chats.map(({ message, replyTo }) => [message, replyTo]);

test('present, returning and new members see which chat each reply is to, also after an edit', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const open = (storage = memoryStorage()): Client => {
    const client = connect(url, { storage });
    onTestFinished(() => client.close());
    return client;
  };
  const room = await open().join('veranda', { username: 'aya', create: true });
  const stored = memoryStorage();
  const away = open(stored);
  await away.join('veranda', { username: 'cho' });
  await away.close();
  const ben = await open().join('veranda', { username: 'ben' });

  const asked = await room.send('tea?').settled;
  const question = asked.ok ? asked.seq : 0;
  await until(() => ben.position.seq === question, 'the client received it');
  const first = await ben.send('gladly', { replyTo: question }).settled;
  const second = await ben.send('latr', { replyTo: question }).settled;
  const edited = second.ok ? second.seq : 0;
  await ben.edit(edited, 'later');
  await room.send('good', { replyTo: first.ok ? first.seq : 0 }).settled;
  await room.delete(question);

  const expected = [
    [null, undefined],
    ['gladly', question],
    ['later', question],
    ['good', first.ok ? first.seq : 0],
  ];
  const late = await open().join('veranda', { username: 'dan' });
  const back = await open(stored).join('veranda', { username: 'cho' });
  for (const each of [room, ben, late, back])
    await until(() => each.timeline.chats.length === 4 && each.timeline.chats[0]?.message === null, 'everything is delivered');
  for (const each of [room, ben, late, back]) expect(replies(each)).toEqual(expected);

  const nowhere = ben.send('what?', { replyTo: 1 });
  expect(await nowhere.settled).toMatchObject({ ok: false, error: { code: 'chat_not_found' } });
  expect(await ben.send('still here').settled).toMatchObject({ ok: true });
});

test('the rooms of a server are listed page by page', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const client = connect(url);
  onTestFinished(() => client.close());
  for (const roomId of ['a', 'b', 'c']) await client.join(roomId, { username: 'aya', create: true, topic: `about ${roomId}` });
  expect(await client.listRooms({ limit: 2 })).toMatchObject({
    ok: true,
    hasMore: true,
    rooms: [
      { roomId: 'a', topic: 'about a' },
      { roomId: 'b', members: 1 },
    ],
  });
  expect(await client.listRooms({ after: 'b' })).toMatchObject({ ok: true, hasMore: false, rooms: [{ roomId: 'c' }] });
});

test('two clients with one session receive each other’s chats, and a leave of one is a leave of both', async () => {
  const { url } = await startServer({ rateLimits: 'off', graceMs: 200 });
  const storage = memoryStorage();
  const open = (options: ClientOptions): Client => {
    const client = connect(url, options);
    onTestFinished(() => client.close());
    return client;
  };
  const hers = await open({}).join('veranda', { username: 'ben', create: true });
  const presences: string[] = [];
  hers.on('presence', ({ username, presence }) => presences.push(`${username} ${presence}`));
  const room = await open({ storage }).join('veranda', { username: 'aya' });
  const same = await open({ storage }).join('veranda', { username: 'aya' });
  expect([room.members, same.members, same.online]).toEqual([2, 2, 2]);

  await Promise.all([room.send('from one').settled, same.send('from the other').settled]);
  await until(() => [room, same, hers].every(({ timeline }) => timeline.chats.length === 2), 'everything is delivered');
  expect(new Set(same.timeline.chats.map(({ username }) => username))).toEqual(new Set(['aya']));

  const third = open({ storage });
  const again = await third.join('veranda', { username: 'aya' });
  await third.close();
  expect(again.state).toBe('ended');
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect([room.state, same.state]).toEqual(['live', 'live']);
  expect(presences.filter((each) => each === 'aya offline')).toEqual([]);

  await same.leave();
  await until(() => room.state === 'ended', 'it has ended there, too');
  expect(room.ending).toMatchObject({ reason: 'left' });
});
