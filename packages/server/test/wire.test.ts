/** The protocol on real sockets: broadcasts, answers, pages, refusals. */
import { type EventName, events } from '@engawa/protocol';
import type { Store } from '@engawa/server';
import {
  collectEvents,
  connect,
  newClient,
  nextEvent,
  requestError,
  requestOk,
  sendAny,
  sendRequest,
  startServer,
  until,
  withOverrides,
} from '@engawa/testkit/processes/server';
import { newStore, storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { draftExpiry } from '#domain/members.js';
import { type MemberValue, memberKey } from '#domain/room-keys.js';

const roomId = 'veranda';

interface Room {
  url: string;
  store: Store;
  /** The owner. */
  aya: Socket;
  ben: Socket;
}

async function startRoom(given?: Store): Promise<Room> {
  const { url, store } = await startServer({ ...(given && { store: given }), rateLimits: 'off' });
  const [aya, ben] = await Promise.all([connect(url), connect(url)]);
  await requestOk(aya, 'create:room', { roomId, username: 'aya', topic: 'tea' });
  const joined = nextEvent(aya, 'add:member:success');
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  // The answer may arrive before others receive the join.
  await joined;
  return { url, store, aya, ben };
}

const say = (socket: Socket, username: string, message: string) => requestOk(socket, 'create:chat', { roomId, username, message });
const chatsOf = async (socket: Socket) => (await requestOk(socket, 'list:chats', { roomId })).chats;

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('every command is broadcast to the room, in the order of the log, each with the id of the one before', async () => {
    const { aya, ben } = await startRoom(await open());
    const all: Record<string, unknown>[] = [];
    aya.onAny((event: string, payload: Record<string, unknown>) => {
      if (payload.prev !== undefined) all.push({ event, ...payload });
    });
    const { seq: chatSeq } = await say(ben, 'ben', 'helo');
    await requestOk(ben, 'update:chat', { roomId, username: 'ben', chatSeq, message: 'hello' });
    await requestOk(aya, 'add:reaction', { roomId, username: 'aya', chatSeq, reaction: '👍' });
    await requestOk(aya, 'remove:reaction', { roomId, username: 'aya', chatSeq, reaction: '👍' });
    await requestOk(ben, 'delete:chat', { roomId, username: 'ben', chatSeq });
    await requestOk(aya, 'update:room', { roomId, username: 'aya', topic: 'coffee' });
    await requestOk(aya, 'remove:member', { roomId, username: 'ben' });
    await requestOk(aya, 'delete:room', { roomId, username: 'aya' });

    expect(all).toMatchObject([
      { event: 'create:chat:success', username: 'ben', message: 'helo' },
      { event: 'update:chat:success', username: 'ben', chatSeq, message: 'hello' },
      { event: 'add:reaction:success', username: 'aya', chatSeq, reaction: '👍' },
      { event: 'remove:reaction:success', username: 'aya', chatSeq, reaction: '👍' },
      { event: 'delete:chat:success', username: 'ben', chatSeq },
      { event: 'update:room:success', username: 'aya', topic: 'coffee' },
      { event: 'remove:member:success', username: 'ben', by: 'aya', reason: 'removed' },
      { event: 'delete:room:success', username: 'aya' },
    ]);
    all.forEach((entry, index) => {
      const before = all[index - 1];
      if (before) expect([entry.seq, entry.prev]).toEqual([(before.seq as number) + 1, before.id]);
    });
  });

  test('a page has chats in their current state: edited, deleted, and with reactions', async () => {
    const { aya, ben } = await startRoom(await open());
    const seqs = [await say(ben, 'ben', 'one'), await say(ben, 'ben', 'two'), await say(aya, 'aya', 'three')].map(({ seq }) => seq);
    const [one, two, three] = seqs as [number, number, number];
    const edit = await requestOk(ben, 'update:chat', { roomId, username: 'ben', chatSeq: one, message: 'ONE' });
    await requestOk(ben, 'delete:chat', { roomId, username: 'ben', chatSeq: two });
    await requestOk(ben, 'add:reaction', { roomId, username: 'ben', chatSeq: three, reaction: '/' });
    await requestOk(aya, 'add:reaction', { roomId, username: 'aya', chatSeq: three, reaction: '🎉' });
    await requestOk(ben, 'add:reaction', { roomId, username: 'ben', chatSeq: three, reaction: '🎉' });
    expect(await chatsOf(aya)).toEqual([
      expect.objectContaining({ seq: one, message: 'ONE', edited: edit.seq }),
      expect.objectContaining({ seq: two, message: null, deleted: true }),
      expect.objectContaining({
        seq: three,
        message: 'three',
        reactions: [
          { reaction: '/', count: 1 },
          { reaction: '🎉', count: 2, mine: true },
        ],
      }),
    ]);
  });

  test('a chat names the chat it answers: in broadcasts, on pages, after a resume, and after an edit', async () => {
    const { aya, ben, store } = await startRoom(await open());
    const received = collectEvents(aya, 'create:chat:success');
    const answers = (replyTo: number, clientId: string) =>
      sendRequest(ben, 'create:chat', { roomId, username: 'ben', message: 'gladly', replyTo, clientId });
    const answered = async (replyTo: number, clientId: string) => {
      const answer = await answers(replyTo, clientId);
      return answer.ok ? answer.seq : 0;
    };
    const { epoch, seq, id } = await say(aya, 'aya', 'tea?');
    const reply = await answered(seq, 'c-1');
    const edited = await answered(seq, 'c-2');
    const edit = await requestOk(ben, 'update:chat', { roomId, username: 'ben', chatSeq: edited, message: 'now' });
    await requestOk(ben, 'update:chat', { roomId, username: 'ben', chatSeq: edited, message: 'now!' });
    await until(() => received.length === 3, 'aya receives everything');
    expect(received).toMatchObject([{ seq }, { seq: reply, replyTo: seq, clientId: 'c-1' }, { seq: edited, replyTo: seq }]);
    expect(await chatsOf(aya)).toMatchObject([{ seq }, { seq: reply, replyTo: seq }, { seq: edited, message: 'now!', replyTo: seq }]);
    const { rooms } = await requestOk(aya, 'resume:rooms', { rooms: [{ roomId, username: 'aya', epoch, seq, id: id ?? null }] });
    expect(rooms).toMatchObject([
      { entries: [{ seq: reply, replyTo: seq }, { seq: edited, message: 'now!', replyTo: seq }, { seq: edit.seq }, { chatSeq: edited }] },
    ]);

    await requestOk(aya, 'delete:chat', { roomId, username: 'aya', chatSeq: seq });
    expect(await answers(seq, 'c-3'), 'its place is still there').toMatchObject({ ok: true });
    await requestOk(ben, 'delete:chat', { roomId, username: 'ben', chatSeq: edited });
    expect((await chatsOf(aya)).find((chat) => chat.seq === edited)).not.toHaveProperty('replyTo');

    await store.trim(roomId, { epoch, below: edited });
    expect(await answers(seq, 'c-4')).toMatchObject({ ok: false, error: { code: 'chat_not_found' } });
    expect(await answers(1, 'c-5')).toMatchObject({ ok: false, error: { code: 'chat_not_found' } });
    expect(await answers(100, 'c-6')).toMatchObject({ ok: false, error: { code: 'chat_not_found' } });
    expect(await answers(0, 'c-7')).toMatchObject({ ok: false, error: { code: 'invalid_payload' } });
  });

  test('a deleted or replaced text is removed from the log, and its seq stays', async () => {
    const { ben, store } = await startRoom(await open());
    const { seq: deleted } = await say(ben, 'ben', 'secret one');
    await requestOk(ben, 'update:chat', { roomId, username: 'ben', chatSeq: deleted, message: 'secret two' });
    await requestOk(ben, 'update:chat', { roomId, username: 'ben', chatSeq: deleted, message: 'secret three' });
    expect(JSON.stringify(await store.readPage(roomId, { limit: 100 }))).toContain('secret three');
    await requestOk(ben, 'delete:chat', { roomId, username: 'ben', chatSeq: deleted });
    const page = await store.readPage(roomId, { limit: 100 });
    expect(JSON.stringify(page)).not.toContain('secret');
    expect(page.entries.map(({ seq }) => seq)).toEqual(page.entries.map((_, index) => index + 1));
  });

  test('pages go before, after and around a seq, and state whether there is more', async () => {
    const { aya } = await startRoom(await open());
    const seqs: number[] = [];
    for (let each = 0; each < 7; each += 1) seqs.push((await say(aya, 'aya', `chat ${each}`)).seq);
    const page = async (asked: object) => {
      const { chats, hasMore } = await requestOk(aya, 'list:chats', { roomId, ...asked });
      return { at: chats.map(({ seq }) => seqs.indexOf(seq)), ...hasMore };
    };
    expect(await page({})).toEqual({ at: [0, 1, 2, 3, 4, 5, 6], before: false, after: false });
    expect(await page({ limit: 2 })).toEqual({ at: [5, 6], before: true, after: false });
    expect(await page({ before: seqs[5], limit: 3 })).toEqual({ at: [2, 3, 4], before: true, after: true });
    expect(await page({ before: seqs[2], limit: 3 })).toEqual({ at: [0, 1], before: false, after: true });
    expect(await page({ after: seqs[4], limit: 3 })).toEqual({ at: [5, 6], before: true, after: false });
    expect(await page({ after: seqs[0], limit: 2 })).toEqual({ at: [1, 2], before: true, after: true });
    expect(await page({ around: seqs[3], limit: 4 })).toEqual({ at: [2, 3, 4, 5], before: true, after: true });
    expect(await page({ around: seqs[0], limit: 4 })).toEqual({ at: [0, 1, 2], before: false, after: true });
  });

  test('rooms and members are listed page by page', async () => {
    const { url, aya } = await startRoom(await open());
    const socket = await connect(url);
    for (const each of ['c', 'a', 'b']) await requestOk(socket, 'create:room', { roomId: each, username: 'u' });
    expect(await requestOk(socket, 'list:rooms', { limit: 2 })).toMatchObject({
      rooms: [{ roomId: 'a', members: 1, seq: 2 }, { roomId: 'b' }],
      hasMore: true,
    });
    const rest = await requestOk(socket, 'list:rooms', { after: 'b' });
    expect(rest).toMatchObject({ rooms: [{ roomId: 'c' }, { roomId, topic: 'tea', members: 2 }], hasMore: false });
    const first = await requestOk(aya, 'list:members', { roomId, limit: 1 });
    expect(first).toMatchObject({ members: [{ username: 'aya', role: 'owner', since: 2 }], count: 2, hasMore: true });
    expect(await requestOk(aya, 'list:members', { roomId, after: 'AYA' })).toMatchObject({
      members: [{ username: 'ben', role: 'member' }],
      hasMore: false,
    });
  });

  test('a retry under the same client id is answered as the first time, after any changes', async () => {
    const { aya, ben } = await startRoom(await open());
    const toAya = collectEvents(aya, 'create:chat:success');
    const chat = { roomId, username: 'ben', message: 'once', clientId: 'c1' };
    const first = await requestOk(ben, 'create:chat', chat);
    expect(await requestOk(ben, 'create:chat', { ...chat, message: 'another text' })).toEqual(first);
    await requestOk(aya, 'remove:member', { roomId, username: 'ben' });
    expect(await requestOk(ben, 'create:chat', chat)).toEqual(first);
    expect((await requestError(ben, 'create:chat', { ...chat, clientId: 'c2' })).code).toBe('not_a_member');
    expect(toAya).toHaveLength(1);
  });

  test('a client id is separate for each author', async () => {
    const { aya, ben } = await startRoom(await open());
    const first = await requestOk(ben, 'create:chat', { roomId, username: 'ben', message: 'mine', clientId: 'same' });
    const second = await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'also mine', clientId: 'same' });
    expect(second.seq).toBe(first.seq + 1);
  });

  test('a deleted room leaves nothing, its members are removed, and its id starts a new epoch', async () => {
    const { aya, ben, store } = await startRoom(await open());
    const { epoch } = await say(ben, 'ben', 'old words');
    const [byAya, byBen] = [nextEvent(aya, 'delete:room:success'), nextEvent(ben, 'delete:room:success')];
    expect((await requestError(ben, 'delete:room', { roomId, username: 'ben' })).code).toBe('not_allowed');
    await requestOk(aya, 'delete:room', { roomId, username: 'aya' });
    expect(await byBen).toEqual(await byAya);
    expect((await requestError(ben, 'create:chat', { roomId, username: 'ben', message: 'hello?' })).code).toBe('room_not_found');
    const again = await requestOk(ben, 'create:room', { roomId, username: 'ben' });
    expect(again).toMatchObject({ seq: 2, role: 'owner', topic: '' });
    expect(again.epoch).not.toBe(epoch);
    expect((await store.readPage(roomId, { limit: 10 })).entries).toHaveLength(2);
  });

  test('requests of a connection are processed in order', async () => {
    const { aya } = await startRoom(await open());
    const asked = Array.from({ length: 100 }, (_, each) =>
      sendRequest(aya, 'create:chat', { roomId, username: 'aya', message: `${each}` }),
    );
    await Promise.all(asked);
    const { chats } = await requestOk(aya, 'list:chats', { roomId, limit: 100 });
    expect(chats.map(({ message }) => message)).toEqual(asked.map((_, each) => `${each}`));
  });
});

test('every reply follows the protocol', async () => {
  const { aya, ben } = await startRoom();
  const { seq: chatSeq } = await say(aya, 'aya', 'x');
  const asks: [EventName, object][] = [
    ['create:room', { roomId: 'other', username: 'aya' }],
    ['add:member', { roomId, username: 'aya' }],
    ['create:chat', { roomId, username: 'aya', message: 'y' }],
    ['create:chats', { roomId, username: 'aya', chats: [{ message: 'y' }] }],
    ['update:chat', { roomId, username: 'aya', chatSeq, message: 'z' }],
    ['add:reaction', { roomId, username: 'aya', chatSeq, reaction: '👍' }],
    ['list:chats', { roomId }],
    ['list:members', { roomId }],
    ['list:entries', { roomId, epoch: 'another', seq: 0 }],
    ['list:rooms', {}],
    ['resume:rooms', { rooms: [{ roomId, username: 'aya', epoch: 'another', seq: 0 }] }],
    ['start:typing', { roomId, username: 'aya' }],
    ['stop:typing', { roomId, username: 'aya' }],
    ['update:presence', { roomId, username: 'aya', presence: 'away' }],
    ['mark:read', { roomId, username: 'aya', seq: 1 }],
    ['remove:reaction', { roomId, username: 'aya', chatSeq, reaction: '👍' }],
    ['delete:chat', { roomId, username: 'aya', chatSeq }],
    ['update:room', { roomId, username: 'aya', topic: 't' }],
    ['remove:member', { roomId, username: 'ben' }],
    ['delete:room', { roomId, username: 'aya' }],
  ];
  expect(asks.map(([event]) => event).sort()).toEqual(Object.keys(events).sort());
  for (const [event, payload] of asks) {
    const answer = await sendRequest(aya, event, payload as never);
    const schema = z.strictObject({ ok: z.literal(true), ...events[event].response.shape });
    expect(schema.safeParse(answer).error, event).toBeUndefined();
  }
  expect(ben.connected).toBe(true);
});

/** As after an absence longer than the grace period. */
async function expireMember(store: Store, username: string): Promise<void> {
  const key = memberKey(username);
  const { epoch, keys } = await store.read(roomId, { keys: [key] });
  const gone = keys.get(key)?.value as unknown as MemberValue;
  await store.append(roomId, { epoch, expectedVersions: [], drafts: [{ id: `${username} expired`, ...draftExpiry(key, gone, false) }] });
}

/** Each room of a resume is refused by itself. */
async function resumeRefused(socket: Socket, payload: object) {
  const { rooms } = await requestOk(socket, 'resume:rooms', payload as never);
  const [room] = rooms;
  if (room?.outcome !== 'refused') throw new Error(`resume:rooms was not refused but ${room?.outcome}`);
  return room.error;
}

test('every refusal that the protocol lists for an event occurs, and no other', async () => {
  const { url, store, aya, ben } = await startRoom();
  const outsider = await connect(url);
  const { seq: ayas } = await say(aya, 'aya', 'x');
  const nowhere = { roomId: 'nowhere', username: 'ben' };
  const bens = { roomId, username: 'ben' };
  const foreign = { roomId, username: 'aya' };
  const message = 'm';
  const reaction = '👍';
  const notThere = { chatSeq: 1 };
  const held = (where: object) => ({ rooms: [{ ...where, epoch: 'any', seq: 0 }] });
  const kicked = await connect(url);
  await requestOk(kicked, 'add:member', { roomId, username: 'kicked' });
  await requestOk(aya, 'remove:member', { roomId, username: 'kicked' });
  const expired = await connect(url);
  await requestOk(expired, 'add:member', { roomId, username: 'expired' });
  await expireMember(store, 'expired');
  await requestOk(await connect(url), 'add:member', { roomId, username: 'expired' });
  const resembled = await connect(url);
  await requestOk(resembled, 'add:member', { roomId, username: 'resembled' });
  await expireMember(store, 'resembled');
  await requestOk(await connect(url), 'add:member', { roomId, username: 'rеsembled' });
  const cases: [EventName, Socket, object, string][] = [
    ['create:room', ben, bens, 'room_exists'],
    ['create:room', ben, { ...bens, roomId: roomId.toUpperCase() }, 'room_confusable'],
    ['add:member', ben, nowhere, 'room_not_found'],
    ['add:member', ben, foreign, 'name_taken'],
    ['add:member', outsider, { roomId, username: 'bеn' }, 'name_confusable'],
    ['remove:member', ben, nowhere, 'room_not_found'],
    ['remove:member', outsider, bens, 'not_a_member'],
    ['remove:member', ben, foreign, 'not_allowed'],
    ['create:chat', ben, { ...nowhere, message }, 'room_not_found'],
    ['create:chat', ben, { ...foreign, message }, 'not_a_member'],
    ['create:chat', ben, { ...bens, replyTo: notThere.chatSeq, message }, 'chat_not_found'],
    ['create:chats', ben, { ...nowhere, chats: [{ message }] }, 'room_not_found'],
    ['create:chats', ben, { ...foreign, chats: [{ message }] }, 'not_a_member'],
    ['create:chats', ben, { ...bens, chats: [{ message }, { message, replyTo: notThere.chatSeq }] }, 'chat_not_found'],
    ['update:chat', ben, { ...nowhere, chatSeq: 1, message }, 'room_not_found'],
    ['update:chat', ben, { ...foreign, chatSeq: ayas, message }, 'not_a_member'],
    ['update:chat', ben, { ...bens, chatSeq: ayas, message }, 'not_allowed'],
    ['update:chat', ben, { ...bens, ...notThere, message }, 'chat_not_found'],
    ['delete:chat', ben, { ...nowhere, chatSeq: 1 }, 'room_not_found'],
    ['delete:chat', ben, { ...foreign, chatSeq: ayas }, 'not_a_member'],
    ['delete:chat', ben, { ...bens, chatSeq: ayas }, 'not_allowed'],
    ['delete:chat', ben, { ...bens, chatSeq: 10_000 }, 'chat_not_found'],
    ['add:reaction', ben, { ...nowhere, chatSeq: 1, reaction }, 'room_not_found'],
    ['add:reaction', ben, { ...foreign, chatSeq: ayas, reaction }, 'not_a_member'],
    ['add:reaction', ben, { ...bens, ...notThere, reaction }, 'chat_not_found'],
    ['remove:reaction', ben, { ...nowhere, chatSeq: 1, reaction }, 'room_not_found'],
    ['remove:reaction', ben, { ...foreign, chatSeq: ayas, reaction }, 'not_a_member'],
    ['remove:reaction', ben, { ...bens, ...notThere, reaction }, 'chat_not_found'],
    ['update:room', ben, { ...nowhere, topic: 't' }, 'room_not_found'],
    ['update:room', ben, { ...foreign, topic: 't' }, 'not_a_member'],
    ['update:room', ben, { ...bens, topic: 't' }, 'not_allowed'],
    ['delete:room', ben, nowhere, 'room_not_found'],
    ['delete:room', ben, foreign, 'not_a_member'],
    ['delete:room', ben, bens, 'not_allowed'],
    ['list:members', ben, { roomId: 'nowhere' }, 'room_not_found'],
    ['list:members', kicked, { roomId }, 'removed'],
    ['list:chats', ben, { roomId: 'nowhere' }, 'room_not_found'],
    ['list:chats', kicked, { roomId }, 'removed'],
    ['list:entries', ben, { roomId: 'nowhere', epoch: 'any', seq: 0 }, 'room_not_found'],
    ['list:entries', kicked, { roomId, epoch: 'any', seq: 0 }, 'removed'],
    ['resume:rooms', ben, held(nowhere), 'room_not_found'],
    ['resume:rooms', ben, held(foreign), 'not_a_member'],
    ['resume:rooms', kicked, held({ roomId, username: 'kicked' }), 'removed'],
    ['resume:rooms', expired, held({ roomId, username: 'expired' }), 'name_taken'],
    ['resume:rooms', resembled, held({ roomId, username: 'resembled' }), 'name_confusable'],
    ['start:typing', ben, foreign, 'not_a_member'],
    ['stop:typing', ben, nowhere, 'not_a_member'],
    ['update:presence', ben, { ...foreign, presence: 'away' }, 'not_a_member'],
    ['mark:read', outsider, { ...bens, seq: 1 }, 'not_a_member'],
  ];
  for (const [event, socket, payload, code] of cases) {
    const error = event === 'resume:rooms' ? await resumeRefused(socket, payload) : await requestError(socket, event, payload as never);
    expect([event, error.code]).toEqual([event, code]);
  }
  const elsewhere = new Set(['too_many_rooms', 'too_many_names', 'too_many_reactions', 'quota_exceeded']);
  for (const event of Object.keys(events) as EventName[]) {
    const met = new Set(cases.filter(([each]) => each === event).map(([, , , code]) => code));
    expect([event, [...met].sort()]).toEqual([event, events[event].errors.filter((code) => !elsewhere.has(code)).sort()]);
  }
});

test('a chat has a bounded number of different reactions, and any number of the same', async () => {
  const { aya, ben } = await startRoom();
  const { seq: chatSeq } = await say(aya, 'aya', 'x');
  const letters = [...'abcdefghijklmnopqrst'];
  for (const reaction of letters) await requestOk(aya, 'add:reaction', { roomId, username: 'aya', chatSeq, reaction });
  expect((await requestError(ben, 'add:reaction', { roomId, username: 'ben', chatSeq, reaction: 'z' })).code).toBe('too_many_reactions');
  await requestOk(ben, 'add:reaction', { roomId, username: 'ben', chatSeq, reaction: 'a' });
});

test('a refusal without an acknowledgement is an error event, and an answer to a query an event of its own', async () => {
  const { aya, ben } = await startRoom();
  const error = nextEvent(ben, 'error');
  ben.emit('update:room', { roomId, username: 'ben', topic: 'mine' });
  expect(await error).toEqual({
    code: 'not_allowed',
    message: 'You are not allowed to do this.',
    retryable: false,
    event: 'update:room',
  });
  const listed = nextEvent(aya, 'list:members:success');
  aya.emit('list:members', { roomId });
  expect(await listed).toMatchObject({ count: 2 });
  expect(await sendAny(aya, 'create:everything', {})).toMatchObject({ ok: false, error: { code: 'unknown_event' } });
});

describe('the requesting client receives an entry once, complete, and only entries', () => {
  /** Every command that is broadcast, and events that look like one. */
  function successes(socket: Socket) {
    const all: Record<string, unknown>[] = [];
    socket.onAny((event: string, payload: Record<string, unknown>) => {
      // Ephemeral events arrive at any time.
      if (event.endsWith(':success') && event !== 'update:presence:success') all.push({ event, ...payload });
    });
    return all;
  }

  test('a retry is answered by its acknowledgement only, also once the chat was deleted, and without an acknowledgement by nothing', async () => {
    const { aya, ben } = await startRoom();
    const received = successes(ben);
    const chat = { roomId, username: 'ben', message: 'once', clientId: 'c1' };
    const first = await requestOk(ben, 'create:chat', chat);
    expect(await requestOk(ben, 'create:chat', chat)).toEqual(first);
    ben.emit('create:chat', chat);
    const { seq } = await requestOk(ben, 'delete:chat', { roomId, username: 'ben', chatSeq: first.seq, clientId: 'c2' });
    await requestOk(ben, 'delete:chat', { roomId, username: 'ben', chatSeq: first.seq, clientId: 'c2' });
    expect(await requestOk(ben, 'create:chat', chat)).toEqual(first);
    await say(aya, 'aya', 'last');
    await until(() => received.at(-1)?.message === 'last', 'the member receives newer entries');
    expect(received).toMatchObject([
      { event: 'create:chat:success', seq: first.seq, message: 'once', by: 'ben' },
      { event: 'delete:chat:success', seq },
      { event: 'create:chat:success', message: 'last' },
    ]);
    expect(received[0]?.prev).toBeTypeOf('string');
  });

  test('a library that retries until an acknowledgement causes no duplicates', async () => {
    const rooms = await newStore();
    const append: Store['append'] = async (...asked) => {
      const appended = await rooms.append(...asked);
      if (appended.outcome === 'appended') await new Promise((resolve) => setTimeout(resolve, 150));
      return appended;
    };
    const { url } = await startServer({ store: withOverrides(rooms, { append }), rateLimits: 'off' });
    const aya = await connect(url, { retries: 10, ackTimeout: 100 });
    const received = successes(aya);
    await requestOk(aya, 'create:room', { roomId, username: 'aya', clientId: 'r' });
    await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'slowly', clientId: 'c' });
    await requestOk(aya, 'list:rooms', {});
    expect(received.map(({ event }) => event)).toEqual(['create:room:success', 'add:member:success', 'create:chat:success']);
  });

  test('a request that changes nothing is answered by the acknowledgement, or by an event that is not an entry', async () => {
    const { aya, ben } = await startRoom();
    const last = nextEvent(ben, 'create:chat:success');
    const { seq: chatSeq, epoch } = await say(aya, 'aya', 'x');
    await last;
    const [toAya, toBen] = [successes(aya), successes(ben)];
    const reaction = { roomId, username: 'ben', chatSeq, reaction: '👍' };
    expect(await requestOk(ben, 'remove:reaction', reaction)).not.toHaveProperty('id');
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    expect(toBen).toEqual([]);
    ben.emit('remove:reaction', reaction);
    ben.emit('add:member', { roomId, username: 'ben' });
    await until(() => toBen.length === 2, 'both are broadcast');
    const place = { epoch, seq: chatSeq };
    expect(toBen).toEqual([
      { event: 'remove:reaction:success', ...reaction, ...place },
      { event: 'add:member:success', roomId, username: 'ben', ...place },
    ]);
    expect(toAya).toEqual([]);
  });

  test('a connection that has not joined receives the entry that it added, like the room', async () => {
    const { url, ben } = await startRoom();
    const { session } = await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    const secondTab = await connect(url, { auth: { session } });
    const [received, other] = [successes(secondTab), successes(ben)];
    const chat = { roomId, username: 'ben', message: 'from the second tab, which has not joined', clientId: 'c' };
    await requestOk(secondTab, 'create:chat', chat);
    await requestOk(secondTab, 'create:chat', chat);
    await until(() => other.length > 0, 'the first tab receives it');
    expect(received).toEqual(other);
    expect(received).toHaveLength(1);
  });
});

test('a validation error is stated in plain words', async () => {
  const { aya } = await startRoom();
  const wrong: [EventName, object, string][] = [
    ['list:chats', { roomId, limit: 1_000 }, 'limit: must be at most 500'],
    ['list:chats', { roomId, limit: 0 }, 'limit: must be at least 1'],
    ['list:chats', { roomId, limit: '5' }, 'limit: must be a whole number'],
    ['list:chats', { roomId, limit: 1.5 }, 'limit: must be a whole number'],
    ['list:chats', { roomId, after: -1 }, 'after: must be at least 0'],
    ['list:chats', {}, 'roomId: is missing'],
    ['list:chats', { roomId: 7 }, 'roomId: must be text'],
    ['update:presence', { roomId, username: 'aya', presence: 'offline' }, 'presence: must be "online" or "away"'],
    ['resume:rooms', { rooms: [] }, 'rooms: must have at least 1 items'],
    ['resume:rooms', { rooms: {} }, 'rooms: must be a list'],
  ];
  for (const [event, payload, message] of wrong) {
    expect(await sendAny(aya, event, payload)).toMatchObject({ ok: false, error: { code: 'invalid_payload', message } });
  }
  expect(await sendAny(aya, 'list:chats', 'veranda')).toMatchObject({ error: { message: 'The payload: must be an object' } });
});

test('an object in place of any field is refused like any other wrong value, whatever its length property', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const aya = await connect(url);
  const odd = [{ toString: 'x' }, { valueOf: 'x', toString: 'x' }, [], {}, null, -1].flatMap((each) => [{ length: each }, { size: each }]);
  const fields = Object.entries(events).flatMap(([event, { payload }]) =>
    Object.keys(payload.shape).flatMap((field) => odd.map((value) => [event, { [field]: value }] as const)),
  );
  for (const [event, payload] of fields)
    expect(await sendAny(aya, event, payload), `${event} ${JSON.stringify(payload)}`).toMatchObject({
      error: { code: 'invalid_payload' },
    });
  expect(aya.connected).toBe(true);
});

test('chats are read from the beginning after 0', async () => {
  const { aya } = await startRoom();
  for (const message of ['one', 'two', 'three']) await say(aya, 'aya', message);
  const { chats, hasMore } = await requestOk(aya, 'list:chats', { roomId, after: 0, limit: 2 });
  expect([chats.map(({ message }) => message), hasMore]).toEqual([['one', 'two'], { before: false, after: true }]);
});

test('a member receives nothing from before the join or after the leave', async () => {
  const { url, aya, ben } = await startRoom();
  await say(aya, 'aya', 'before');
  const late = await connect(url);
  const all = collectEvents(late, 'create:chat:success');
  await requestOk(late, 'add:member', { roomId, username: 'late' });
  await say(aya, 'aya', 'while');
  await requestOk(late, 'remove:member', { roomId, username: 'late' });
  const last = nextEvent(ben, 'create:chat:success');
  await say(aya, 'aya', 'after');
  await last;
  expect(all.map(({ message }) => message)).toEqual(['while']);
});

test('a connection with two names stays until the last of them left', async () => {
  const { aya, ben } = await startRoom();
  await requestOk(ben, 'add:member', { roomId, username: 'bot' });
  await requestOk(ben, 'remove:member', { roomId, username: 'ben' });
  const chat = nextEvent(ben, 'create:chat:success');
  await say(aya, 'aya', 'hello bot');
  expect(await chat).toMatchObject({ message: 'hello bot' });
  await requestOk(ben, 'create:chat', { roomId, username: 'bot', message: 'hello' });
});

test('an invalid session is refused at the handshake, with its code', async () => {
  const { url } = await startServer();
  const socket = newClient(url, { auth: { session: 'short' } });
  const refusal = await new Promise<Error & { data?: unknown }>((resolve) => socket.once('connect_error', resolve));
  expect(refusal.data).toEqual({ code: 'invalid_session', message: 'The session is not valid.', retryable: false });
});

test('health and readiness are served over HTTP', async () => {
  const { url, store } = await startServer();
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok' });
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  await store.close();
  expect((await fetch(`${url}/ready`)).status).toBe(503);
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect((await fetch(`${url}/nothing`)).status).toBe(404);
});
