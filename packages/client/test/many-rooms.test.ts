/** A client in many rooms that missed more in each than one answer may say. */
import { connect, type Room } from '@engawa/client';
import { LIMITS } from '@engawa/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { startServer, until } from '../../server/test/helpers/server.ts';
import { newStore } from '../../server/test/helpers/stores.ts';
import { memory } from './helpers/clients.ts';

const ROOMS = 20;
const MISSED = 30;
const LONG = '部'.repeat(LIMITS.textCodePoints);

test('it is told all of it, once, in order and room by room, and loses its place in none', async () => {
  const store = await newStore();
  const { url } = await startServer({ store, limits: 'off' });
  const storage = memory();
  const before = connect(url, { storage });
  onTestFinished(() => before.close());
  const names = Array.from({ length: ROOMS }, (_, number) => `room ${number}`);
  await Promise.all(names.map((name) => before.join(name, { username: 'aya', create: true })));
  await before.close();
  for (const name of names) {
    const { epoch } = await store.read(name, {});
    const drafts = Array.from({ length: MISSED }, (_, number) => ({
      ...{ id: `${name} ${number}`, by: 'ben', author: 'ben', kind: 'create:chat', body: { message: `${number} ${LONG.slice(10)}` } },
      listed: true,
    }));
    for (let at = 0; at < MISSED; at += 10) await store.append(name, { epoch, given: [], drafts: drafts.slice(at, at + 10) });
  }

  const after = connect(url, { storage });
  onTestFinished(() => after.close());
  const told = new Map(names.map((name) => [name, [] as string[]]));
  const resets: string[] = [];
  const rooms: Room[] = await Promise.all(
    names.map(async (name) => {
      const room = await after.join(name, { username: 'aya' });
      room.on('chat', ({ message }) => void told.get(name)?.push(message?.split(' ', 1)[0] ?? ''));
      room.on('reset', () => void resets.push(name));
      return room;
    }),
  );
  await until(() => rooms.every(({ state }) => state === 'live'), 'all rooms are live', 30_000);
  expect(resets).toEqual([]);
  const numbers = Array.from({ length: MISSED }, (_, number) => String(number));
  for (const name of names) expect(told.get(name)).toEqual(numbers);
});
