/** What frameworks read while they render: values that are identical until they change, with one `subscribe`. */

import { until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { connect, type Room } from '#index.js';
import { startTestServer } from '#testing/index.js';

const ROOM = 'veranda';
type Getter = keyof { [Name in keyof Room as Room[Name] extends (...args: never[]) => unknown ? never : Name]: true };
/** Every getter of a room. */
const GETTERS: Getter[] = [
  'id',
  'state',
  'ending',
  'isStale',
  'username',
  'role',
  'topic',
  'retention',
  'members',
  'online',
  'position',
  'lastReadSeq',
  'unread',
  'mentions',
  'catchUpProgress',
  'readMarks',
  'hasMoreTypingUsers',
  'typingUsers',
  'timeline',
];

async function startRoom(largeRoomThreshold?: number) {
  const server = startTestServer({ seed: 1, ...(largeRoomThreshold !== undefined && { largeRoomThreshold }) });
  onTestFinished(() => server.close());
  const people = ['aya', 'ben'].map((username) => ({ username, client: connect('test:', { createTransport: server.createTransport }) }));
  for (const { client } of people) onTestFinished(() => client.close());
  const rooms: Room[] = [];
  for (const { username, client } of people) rooms.push(await client.join(ROOM, { username, create: true }));
  const [aya, ben] = rooms as [Room, Room];
  return { aya, ben, client: people[0]!.client };
}

const snapshot = (room: Room) => [...GETTERS.map((name) => room[name]), room.timeline.chats, room.timeline.hasOlder];

test('this test covers every getter of a room', async () => {
  const { aya } = await startRoom();
  const { prototype } = aya.constructor as { prototype: Room };
  const getters = Object.entries(Object.getOwnPropertyDescriptors(prototype)).filter(([, each]) => typeof each.get === 'function');
  expect(new Set([...getters.map(([name]) => name), 'timeline'])).toEqual(new Set(GETTERS));
});

test('each getter returns the identical value while nothing changes, and subscribers are called after a change', async () => {
  const { aya, ben } = await startRoom();
  let received = 0;
  const stop = aya.subscribe(() => (received += 1));
  const doings: [what: string, act: () => unknown, getter: () => unknown][] = [
    ['a chat', () => ben.send('hello'), () => aya.timeline.chats],
    ['a key', () => ben.typing(), () => aya.typingUsers],
    ['a mark', () => ben.markRead(), () => aya.readMarks],
  ];
  for (const [what, act, getter] of doings) {
    const [before, count] = [getter(), received];
    act();
    await until(() => getter() !== before, `${what} is another value`);
    await until(() => received > count, `${what} is reported`);
    const [first, second] = [snapshot(aya), snapshot(aya)];
    for (const [index, value] of first.entries()) expect(value).toBe(second[index]);
  }
  expect(aya.typingUsers).toEqual(['ben']);
  stop();
  const count = received;
  ben.send('unheard');
  await until(() => aya.timeline.chats.length === 2, 'she has it');
  expect(received).toBe(count);
});

test('the rooms of a client are the identical list until a room is added or removed, and subscribers are called', async () => {
  const { client, aya } = await startRoom();
  let received = 0;
  client.subscribe(() => (received += 1));
  const before = client.rooms;
  expect(client.rooms).toBe(before);
  await client.join('den', { username: 'aya', create: true });
  expect([client.rooms.length, received]).toEqual([2, 1]);
  expect(before).toEqual([aya]);
  aya.close();
  expect(client.rooms.map(({ id }) => id)).toEqual(['den']);
  expect(received).toBe(2);
});

test('a room that was joined twice ends when it was closed twice', async () => {
  const { client, aya } = await startRoom();
  const again = await client.join(ROOM, { username: 'aya' });
  expect(again).toBe(aya);
  aya.close();
  expect(aya.state).toBe('live');
  again.close();
  expect(aya.ending).toMatchObject({ reason: 'closed' });
});

test('an effect that runs, is cleaned up and runs again, as in React’s strict mode, has its room', async () => {
  const { client, aya } = await startRoom();
  aya.close();
  const begin = () => {
    let isOver = false;
    const joined = client.join(ROOM, { username: 'aya' }).then((room) => (isOver ? room.close() : room));
    return { joined, end: () => (isOver = true) };
  };
  const first = begin();
  first.end();
  const second = begin();
  expect(await first.joined).toBeUndefined();
  expect((await second.joined) as Room).toMatchObject({ state: 'live' });
});
