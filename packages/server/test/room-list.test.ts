/** The list of rooms, on real sockets: its content, and its cost of one query to the store. */
import type { Store } from '@engawa/server';
import { connect, requestOk, startServer, withOverrides } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import { expect, test } from 'vitest';

const ROOMS = 60;

test.each(storeKinds)('list:rooms sends the %s store one query, for any number of rooms', async (_, open) => {
  const store = await open();
  const asked: string[] = [];
  const { url } = await startServer({ store: noting(store, asked), rateLimits: 'off' });
  const [aya, ben] = [await connect(url), await connect(url)];
  for (let count = 0; count < ROOMS; count += 1)
    await requestOk(aya, 'create:room', { roomId: `room ${100 + count}`, username: 'aya', topic: `topic ${count}` });
  await requestOk(ben, 'add:member', { roomId: 'room 107', username: 'ben' });
  await requestOk(aya, 'remove:member', { roomId: 'room 108', username: 'aya' });
  asked.length = 0;

  const { rooms, hasMore } = await requestOk(ben, 'list:rooms', { limit: 50 });
  // The server checks silent rooms by itself, one or two at a time.
  expect(asked.filter((name) => name === 'listRooms')).toHaveLength(1);
  expect(asked.length).toBeLessThan(ROOMS / 4);
  expect(hasMore).toBe(true);
  expect(rooms).toHaveLength(50);
  expect(rooms.slice(6, 9)).toMatchObject([
    { roomId: 'room 106', topic: 'topic 6', members: 1, seq: 2 },
    { roomId: 'room 107', topic: 'topic 7', members: 2, seq: 3 },
    { roomId: 'room 108', topic: 'topic 8', members: 0, seq: 3 },
  ]);
  expect(await requestOk(ben, 'list:rooms', { after: 'room 149', limit: 500 })).toMatchObject({
    hasMore: false,
    rooms: { length: ROOMS - 50 },
  });
});

/** The store, with a record of its reads. */
function noting(store: Store, asked: string[]): Store {
  const note = <Name extends 'read' | 'readPage' | 'listKeys' | 'listRooms'>(name: Name): Store[Name] =>
    ((...args: never[]) => {
      asked.push(name);
      return (store[name] as (...given: never[]) => unknown)(...args);
    }) as Store[Name];
  return withOverrides(store, { read: note('read'), readPage: note('readPage'), listKeys: note('listKeys'), listRooms: note('listRooms') });
}
