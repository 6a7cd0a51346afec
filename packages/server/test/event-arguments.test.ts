/**
 * Socket.IO's client takes a text at the end of any event for its offset, and keeps it for the next connection: so nothing but
 * an entry may end in one, and no event may come without an argument.
 */
import { events, notices } from '@engawa/protocol';
import { connect, nextEvent, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { newStore } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { expect, test } from 'vitest';

const roomId = 'veranda';

/** The arguments of all events, by their names. */
function argumentsOf(socket: Socket, all: Map<string, unknown[][]>): void {
  socket.onAny((event: string, ...args: unknown[]) => void all.set(event, [...(all.get(event) ?? []), args]));
}

const isEntry = ([received]: unknown[]): boolean =>
  typeof received === 'object' && received !== null && 'prev' in received && 'by' in received;

test('only entries end in a text, and every event has arguments', async () => {
  const store = await newStore();
  const small = await startServer({ rateLimits: 'off', store });
  const [aya, ben] = [await connect(small.url), await connect(small.url)];
  const all = new Map<string, unknown[][]>();
  for (const socket of [aya, ben]) argumentsOf(socket, all);
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  const { epoch, seq: chatSeq } = await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'hello' });
  const place = { roomId, username: 'ben' };

  // Ephemeral events; and, without an acknowledgement, answers, refusals and requests that change nothing.
  ben.emit('start:typing', place);
  await nextEvent(aya, 'start:typing:success');
  ben.emit('stop:typing', place);
  ben.emit('update:presence', { ...place, presence: 'away' });
  ben.emit('mark:read', { ...place, seq: chatSeq });
  for (const event of Object.keys(events).filter((name) => name.startsWith('list:'))) ben.emit(event, { roomId });
  ben.emit('resume:rooms', { rooms: [{ ...place, epoch, seq: chatSeq }] });
  ben.emit('remove:reaction', { ...place, chatSeq, reaction: '👍' });
  ben.emit('add:member', place);
  ben.emit('delete:room', place);
  ben.emit('nonsense', 'a text');
  ben.emit('list:rooms', 'another');
  await store.startNewEpoch(roomId, epoch);
  await requestOk(aya, 'list:chats', { roomId });
  await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'in another log' });
  await until(() => all.has('reset:room'), 'the new epoch is announced');

  const large = await startServer({ rateLimits: 'off', largeRoomThreshold: 2 });
  const guests = [await connect(large.url), await connect(large.url), await connect(large.url)];
  for (const socket of guests) argumentsOf(socket, all);
  for (const [index, socket] of guests.entries())
    await requestOk(socket, index === 0 ? 'create:room' : 'add:member', { roomId, username: `guest ${index}` });
  guests[1]?.emit('start:typing', { roomId, username: 'guest 1' });
  await until(() => all.has('members:changed') && all.has('typing:changed'), 'the summary of a large room arrives');
  await large.stop();

  const entries = [...all.values()].flat().filter(isEntry);
  expect(entries.length).toBeGreaterThan(5);
  const others = [...all].flatMap(([event, each]) => each.filter((args) => !isEntry(args)).map((args) => ({ event, args })));
  // It is forced to send an offset.
  const odd = others.filter(({ event, args }) => args.length === 0 || (typeof args.at(-1) === 'string' && event !== 'position:changed'));
  expect(odd).toEqual([]);
  const signals = Object.entries(events).flatMap(([name, event]) => ('ephemeral' in event ? [`${name}:success`] : []));
  const answers = ['list:rooms', 'list:members', 'list:chats', 'resume:rooms', 'remove:reaction', 'add:member'].map(
    (name) => `${name}:success`,
  );
  const expected = [...signals, ...answers, ...Object.keys(notices), 'error'];
  expect(expected.filter((name) => !others.some(({ event }) => event === name))).toEqual([]);
});
