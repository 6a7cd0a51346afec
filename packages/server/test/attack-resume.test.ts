/** Invented positions: every answer is typed, nothing leaks, and no other client receives anything. */
import { LIMITS, type ResumeResult } from '@engawa/protocol';
import { collectEvents, connect, nextEvent, requestOk, sendAny } from '@engawa/testkit/processes/server';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { ATTACKER_HEADERS, type BystanderScenario, ROOM, startWithBystanders } from './helpers/bystanders.ts';

const SECRET = 'for members only';

interface Position {
  epoch: string;
  seq: number;
  id: string;
}

/** A room with a secret, another one, and a client that is in neither. */
async function setUp(): Promise<BystanderScenario & { mallory: Socket; here: Position; elsewhere: Position }> {
  const running = await startWithBystanders();
  const { aya, ben, url } = running;
  await requestOk(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: SECRET });
  const { epoch, seq, id = '' } = await requestOk(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: SECRET });
  const other = await requestOk(ben, 'create:room', { roomId: 'other', username: 'ben' });
  const mallory = await connect(url, { extraHeaders: ATTACKER_HEADERS });
  return { ...running, mallory, here: { epoch, seq, id }, elsewhere: { epoch: other.epoch, seq: other.seq, id: String(other.id) } };
}

const invalid = { ok: false, error: { code: 'invalid_payload', retryable: false } };
const refusal = (code: string) => ({ ok: true, rooms: [{ outcome: 'refused', error: { code } }] });
const resume = (socket: Socket, ...rooms: unknown[]) => sendAny(socket, 'resume:rooms', { rooms });

describe('a position', () => {
  test.each([
    ['a negative seq', { seq: -1 }],
    ['a seq that is no number', { seq: Number.NaN }],
    ['an endless seq', { seq: Number.POSITIVE_INFINITY }],
    ['half a seq', { seq: 1.5 }],
    ['a seq past all integers', { seq: 2 ** 60 }],
    ['a seq in letters', { seq: '1' }],
    ['no seq', { seq: undefined }],
    ['no epoch', { epoch: undefined }],
    ['an epoch that is no text', { epoch: { $ne: null } }],
    ['an endless epoch', { epoch: 'e'.repeat(LIMITS.idBytes + 1) }],
    ['an id that is no text', { id: 7 }],
    ['an id of 60 KB', { id: 'i'.repeat(60_000) }],
  ])('with %s is refused as not valid', async (_, wrong) => {
    const { aya, here, expectUnharmed } = await setUp();
    expect(await resume(aya, { roomId: ROOM, username: 'aya', ...here, ...wrong })).toMatchObject(invalid);
    await expectUnharmed();
  });

  test('of a megabyte ends its own connection and no other', async () => {
    const { mallory, here, expectUnharmed } = await setUp();
    const gone = nextEvent(mallory, 'disconnect');
    mallory.emit('resume:rooms', { rooms: [{ roomId: ROOM, username: 'mallory', ...here, id: 'i'.repeat(2 ** 20) }] });
    expect(await gone).toBe('transport close');
    await expectUnharmed();
  });

  test.each([
    ['ahead of the log', (here: Position) => ({ ...here, seq: here.seq + 1_000 })],
    ['at the end of all numbers', (here: Position) => ({ ...here, seq: Number.MAX_SAFE_INTEGER })],
    ['of another epoch', (here: Position) => ({ ...here, epoch: 'x' })],
    ['of another room', (_: Position, elsewhere: Position) => elsewhere],
    ['with the id of another entry', (here: Position) => ({ ...here, id: 'x' })],
    ['before the last, with the id of another entry', (here: Position) => ({ ...here, seq: here.seq - 1, id: 'x' })],
  ])('%s is answered with the position of the room, to the requesting client alone', async (_, forge) => {
    const { aya, ben, here, elsewhere, expectUnharmed } = await setUp();
    const [toAya, toBen] = [collectEvents(aya, 'reset:room'), collectEvents(ben, 'reset:room')];
    const { rooms } = await requestOk(aya, 'resume:rooms', { rooms: [{ roomId: ROOM, username: 'aya', ...forge(here, elsewhere) }] });
    expect(rooms).toMatchObject([{ outcome: 'reset', roomId: ROOM, epoch: here.epoch, seq: here.seq, id: here.id }]);
    expect((rooms[0] as Extract<ResumeResult, { page: unknown }>).page.chats.at(-1)?.message).toBe(SECRET);
    await expectUnharmed();
    expect([toAya, toBen]).toEqual([[], []]);
    // The room continues in the same epoch, for all members.
    expect((await requestOk(ben, 'list:chats', { roomId: ROOM })).epoch).toBe(here.epoch);
  });
});

describe('a client that is not a member', () => {
  test.each([
    ['under a name of their own', 'mallory', 'not_a_member'],
    ['under the name of a member', 'aya', 'not_a_member'],
    ['under another spelling of it', 'AYA', 'not_a_member'],
  ])('resumes no room with the right position, %s', async (_, username, code) => {
    const { aya, mallory, here, expectUnharmed } = await setUp();
    const received: unknown[] = [];
    mallory.onAny((...args: unknown[]) => received.push(args));
    for (const position of [here, { ...here, seq: 0, id: null }, { ...here, epoch: 'x' }, { ...here, seq: 1_000 }]) {
      const answer = await resume(mallory, { roomId: ROOM, username, ...position });
      expect(answer).toMatchObject(refusal(code));
      expect(JSON.stringify(answer)).not.toContain(SECRET);
      expect(JSON.stringify(answer)).not.toContain(here.epoch);
    }
    await requestOk(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: SECRET });
    await expectUnharmed();
    expect(received).toEqual([]);
  });

  test('receives nothing about a room that does not exist', async () => {
    const { mallory, here } = await setUp();
    expect(await resume(mallory, { roomId: 'nowhere', username: 'mallory', ...here })).toMatchObject(refusal('room_not_found'));
    expect(await resume(mallory, { roomId: '__proto__', username: 'mallory', ...here })).toMatchObject(refusal('room_not_found'));
  });
});

describe('many rooms in a request', () => {
  test('201 rooms are refused, 200 are answered one by one', async () => {
    const { aya, here, expectUnharmed } = await setUp();
    const rooms = (count: number) =>
      Array.from({ length: count }, (_, room) => ({ roomId: room ? `r${room}` : ROOM, username: 'aya', ...here }));
    expect(await resume(aya, ...rooms(LIMITS.roomsPerResume + 1))).toMatchObject(invalid);
    expect(await resume(aya)).toMatchObject(invalid);
    const answer = await requestOk(aya, 'resume:rooms', { rooms: rooms(LIMITS.roomsPerResume) });
    expect(answer.rooms.map(({ outcome }) => outcome)).toEqual(['caught_up', ...Array.from({ length: 199 }, () => 'refused')]);
    await expectUnharmed();
  });
});
