/** Clients that read a room without joining it: what they receive, and that no member is notified. */
import type { RequestPayload, ResponsePayload } from '@engawa/protocol';
import { connect, requestError, requestOk, sendRequest, startServer } from '@engawa/testkit/processes/server';
import { storeForAnotherServer, storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';

const roomId = 'veranda';
const aya = { roomId, username: 'aya' };
const ben = { roomId, username: 'ben' };

type Position = Pick<RequestPayload<'list:entries'>, 'epoch' | 'seq' | 'id'>;

async function open(url: string): Promise<Socket> {
  const socket = await connect(url);
  await requestOk(socket, 'create:room', aya);
  return socket;
}

const say = (socket: Socket, message: string) => requestOk(socket, 'create:chat', { ...aya, message });
const entriesAfter = (socket: Socket, { epoch, seq, id }: Position, limit?: number) =>
  requestOk(socket, 'list:entries', { roomId, epoch, seq, id, ...(limit !== undefined && { limit }) });

async function newest(socket: Socket): Promise<Position> {
  const { epoch, seq, lastId } = await requestOk(socket, 'list:chats', { roomId, limit: 1 });
  return { epoch, seq, id: lastId };
}

const shown = ({ entries }: ResponsePayload<'list:entries'>) => entries.map(({ seq, kind, message }) => [seq, kind, message]);

describe.each(storeKinds)('on the %s store', (_, openStore) => {
  test('a client that is not a member reads chats, members and entries, and changes neither log nor count', async () => {
    const { url, store } = await startServer({ store: await openStore(), rateLimits: 'off' });
    const owner = await open(url);
    const received: string[] = [];
    owner.onAny((event: string, { username }: { username?: string }) => received.push(`${event} ${username}`));
    const { seq, epoch } = await say(owner, 'hello');
    const outsider = await connect(url);
    const receivedEvents: string[] = [];
    outsider.onAny((event: string) => receivedEvents.push(event));
    expect((await requestOk(outsider, 'list:chats', { roomId })).chats).toMatchObject([{ seq, message: 'hello' }]);
    expect(await requestOk(outsider, 'list:members', { roomId })).toMatchObject({
      count: 1,
      members: [{ username: 'aya', presence: 'online' }],
    });
    expect(shown(await entriesAfter(outsider, { epoch, seq: 0 }))).toEqual([
      [1, 'create:room', undefined],
      [2, 'add:member', undefined],
      [seq, 'create:chat', 'hello'],
    ]);
    const after = await say(owner, 'still alone');
    expect(after.seq).toBe(seq + 1);
    expect((await store.readPage(roomId, { limit: 1 })).head).toBe(after.seq);
    // Their own presence may be broadcast to them.
    expect(received.filter((event) => event !== 'update:presence:success aya')).toEqual(Array(2).fill('create:chat:success aya'));
    expect((await requestOk(owner, 'add:member', aya)).online).toBe(1);
    expect(receivedEvents).toEqual([]);
    expect((await requestError(outsider, 'create:chat', { ...aya, message: 'x' })).code).toBe('not_a_member');
  });

  test('a client that reads on from each answer gets the whole room, in order, once, across a restart', async () => {
    const store = await openStore();
    const { url } = await startServer({ store, rateLimits: 'off' });
    const owner = await open(url);
    const outsider = await connect(url);
    let place = await newest(outsider);
    const texts = Array.from({ length: 25 }, (__, at) => `chat ${at}`);
    const said = Promise.all(texts.map((text) => say(owner, text)));
    const followed: unknown[] = [];
    const outcomes = new Set<string>();
    while (followed.length < texts.length) {
      const answer = await entriesAfter(outsider, place, 4);
      expect(answer.entries.length).toBeLessThanOrEqual(4);
      followed.push(...answer.entries.map(({ message }) => message));
      outcomes.add(answer.outcome);
      place = answer;
    }
    await said;
    expect(followed).toEqual(texts);
    expect(outcomes).toContain('more');
    const chatSeq = place.seq;
    await requestOk(owner, 'update:chat', { ...aya, chatSeq, message: 'edited' });
    await requestOk(owner, 'add:reaction', { ...aya, chatSeq, reaction: '👍' });
    const again = await startServer({ store: await storeForAnotherServer(store), rateLimits: 'off' });
    const later = await entriesAfter(await connect(again.url), place);
    expect(later).toMatchObject({
      outcome: 'caught_up',
      entries: [
        { kind: 'update:chat', chatSeq },
        { kind: 'add:reaction', chatSeq },
      ],
    });
    expect(await entriesAfter(outsider, later)).toMatchObject({ outcome: 'caught_up', seq: later.seq, id: later.id, entries: [] });
  });

  test('a position of another log, or too old, is answered by the newest position', async () => {
    const { url, store } = await startServer({ store: await openStore(), rateLimits: 'off' });
    const owner = await open(url);
    const first = await say(owner, 'first');
    const last = await say(owner, 'last');
    const outsider = await connect(url);
    const place = { epoch: last.epoch, seq: last.seq, id: last.id };
    const anew = (outcome: string) => ({ ok: true, outcome, roomId, ...place, entries: [] });
    expect(await entriesAfter(outsider, { ...place, epoch: 'another' })).toEqual(anew('reset'));
    expect(await entriesAfter(outsider, { ...place, id: 'of a fork' })).toEqual(anew('reset'));
    expect(await entriesAfter(outsider, { ...place, seq: last.seq + 1 })).toEqual(anew('reset'));
    await store.trim(roomId, { epoch: last.epoch, below: last.seq });
    expect(await entriesAfter(outsider, { ...first, seq: 1, id: undefined })).toEqual(anew('too_old'));
    await requestOk(owner, 'delete:room', aya);
    expect((await requestError(outsider, 'list:entries', { roomId, epoch: place.epoch, seq: 1 })).code).toBe('room_not_found');
  });

  test('a removed member reads nothing, on any connection, until they rejoin; a member who left does', async () => {
    const { url } = await startServer({ store: await openStore(), rateLimits: 'off' });
    const owner = await open(url);
    const member = await connect(url);
    const { session, epoch } = await requestOk(member, 'add:member', ben);
    const other = await connect(url, { auth: { session } });
    const asks = ['list:chats', 'list:members', 'list:entries'] as const;
    const codes = async (socket: Socket) => {
      const answers = await Promise.all(asks.map((event) => sendRequest(socket, event, { roomId, epoch, seq: 0 })));
      return [...new Set(answers.map((answer) => (answer.ok ? 'ok' : answer.error.code)))];
    };
    expect([await codes(member), await codes(other)]).toEqual([['ok'], ['ok']]);
    await requestOk(member, 'remove:member', ben);
    expect([await codes(member), await codes(other)]).toEqual([['ok'], ['ok']]);
    await requestOk(member, 'add:member', ben);
    await requestOk(owner, 'remove:member', ben);
    expect([await codes(member), await codes(other)]).toEqual([['removed'], ['removed']]);
    await requestOk(member, 'add:member', { roomId, username: 'ben the second' });
    expect([await codes(member), await codes(other)]).toEqual([['ok'], ['ok']]);
  });
});

test('unlisted joins of a large room are skipped', async () => {
  const { url } = await startServer({ rateLimits: 'off', largeRoomThreshold: 2 });
  const owner = await open(url);
  await requestOk(await connect(url), 'add:member', ben);
  const outsider = await connect(url);
  const place = await newest(outsider);
  for (const username of ['cho', 'dan']) await requestOk(await connect(url), 'add:member', { roomId, username });
  const { seq } = await say(owner, 'to a large room');
  const answer = await entriesAfter(outsider, place);
  expect(shown(answer)).toEqual([[seq, 'create:chat', 'to a large room']]);
  expect(answer.seq).toBe(place.seq + 3);
});

test('following counts as resuming, and does not reduce the budget of other requests', async () => {
  const { url } = await startServer({ resumeRatePerAddress: 0.125 });
  await open(url);
  const outsider = await connect(url);
  const place = await newest(outsider);
  for (let count = 0; count < 5; count += 1) await entriesAfter(outsider, place);
  expect(await requestError(outsider, 'list:entries', { roomId, ...place })).toMatchObject({ code: 'rate_limited', retryable: true });
  await newest(outsider);
});
