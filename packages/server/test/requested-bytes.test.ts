/** A question may say how many bytes its answer may have, as a client on a slow line does. */
import type { ResponsePayload } from '@engawa/protocol';
import { connect, requestOk, startServer } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';

const MESSAGE = 'x'.repeat(1_000);
const bytesOf = (answer: unknown): number => JSON.stringify(answer).length;

async function rooms(count: number, chats: number) {
  const { url } = await startServer({ rateLimits: 'off' });
  const aya = await connect(url);
  const held = [];
  for (const roomId of Array.from({ length: count }, (_, index) => `room ${index}`)) {
    const { epoch, seq, lastId: id } = await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    held.push({ roomId, username: 'aya', epoch, seq, id });
    await requestOk(aya, 'create:chats', { roomId, username: 'aya', chats: Array.from({ length: chats }, () => ({ message: MESSAGE })) });
  }
  return { aya, held };
}

test('a page has the nearest chats that fit, at least one, and states that there are more', async () => {
  const { aya } = await rooms(1, 50);
  const page = await requestOk(aya, 'list:chats', { roomId: 'room 0', bytes: 10_000 });
  expect(page.chats.length).toBeGreaterThan(5);
  expect(bytesOf(page)).toBeLessThan(11_000);
  expect(page.chats.at(-1)?.seq).toBe(page.seq);
  expect(page.hasMore).toEqual({ before: true, after: false });
  expect((await requestOk(aya, 'list:chats', { roomId: 'room 0', bytes: 1 })).chats).toHaveLength(1);
  expect((await requestOk(aya, 'list:chats', { roomId: 'room 0', bytes: 2 ** 40 })).chats).toHaveLength(50);
});

test('missed entries arrive in parts that fit, with the remaining count, until all are sent', async () => {
  const { aya, held } = await rooms(1, 50);
  const [room] = held as [(typeof held)[number]];
  const received: number[] = [];
  let head: number | undefined;
  for (let outcome = 'more', part = 0; outcome === 'more'; part += 1) {
    const answer: ResponsePayload<'resume:rooms'> = await requestOk(aya, 'resume:rooms', { rooms: [room], bytes: 10_000 });
    expect(bytesOf(answer)).toBeLessThan(12_000);
    const [resumed] = answer.rooms;
    if (!resumed || !('entries' in resumed)) throw new Error('It was not resumed.');
    received.push(...resumed.entries.map(({ seq }) => seq));
    if (part === 0 && resumed.outcome === 'more') ({ head } = resumed);
    ({ outcome } = resumed);
    Object.assign(room, { seq: resumed.seq, id: resumed.id });
  }
  expect(received).toEqual(Array.from({ length: 50 }, (_, index) => index + 3));
  expect(head).toBe(52);
});

test('many rooms with few entries each are sent together, for any requested size', async () => {
  const { aya, held } = await rooms(40, 1);
  const answer = await requestOk(aya, 'resume:rooms', { rooms: held, bytes: 64 * 1024 });
  const whole = answer.rooms.filter(({ outcome }) => outcome === 'caught_up');
  expect(whole.length).toBeGreaterThan(20);
  expect(bytesOf(answer)).toBeLessThan(100_000);
});
