/** Concurrent chats of one member. */
import type { Ack } from '@engawa/protocol';
import type { AppendRequest, ReadQuery, Store } from '@engawa/server';
import { connect, requestError, requestOk, sendRequest, startServer, withOverrides } from '@engawa/testkit/processes/server';
import { newStore } from '@engawa/testkit/stores';
import { describe, expect, test } from 'vitest';
import { conditionalAppend } from '#domain/execute-command.js';
import { claimName } from '#domain/member-names.js';
import { draftJoin } from '#domain/members.js';
import { type MemberValue, memberKey } from '#domain/room-keys.js';

const ROOM = 'veranda';
const [AYA, BEN] = ['aya', 'ben'];
/** More chats than start together. */
const MANY = 80;

const isChat = ({ drafts }: AppendRequest): boolean => drafts[0]?.kind === 'create:chat';
const texts = Array.from({ length: MANY }, (_, index) => `chat ${index}`);

/** A store that runs `before` ahead of each append of a chat, and appends in the order of the calls. */
function withBefore(store: Store, before: (count: number) => Promise<void>): Store {
  let count = 0;
  let turn: Promise<unknown> = Promise.resolve();
  return withOverrides(store, {
    append(room, append) {
      const appended = turn.then(async () => {
        if (isChat(append)) {
          count += 1;
          await before(count);
        }
        return store.append(room, append);
      });
      turn = appended.catch(() => undefined);
      return appended;
    },
  });
}

async function start(store: Store) {
  const { url } = await startServer({ store, rateLimits: 'off' });
  const [aya, ben] = [await connect(url), await connect(url)];
  await requestOk(aya, 'create:room', { roomId: ROOM, username: AYA });
  await requestOk(ben, 'add:member', { roomId: ROOM, username: BEN });
  const received: unknown[] = [];
  ben.on('create:chat:success', ({ message }: { message: string }) => received.push(message));
  const say = (message: string): Promise<Ack<'create:chat'>> => sendRequest(aya, 'create:chat', { roomId: ROOM, username: AYA, message });
  const stored = async (): Promise<unknown[]> =>
    (await requestOk(ben, 'list:chats', { roomId: ROOM, limit: 500 })).chats.map(({ message }) => message);
  return { aya, ben, say, received, stored };
}

const seqsOf = (answers: Ack<'create:chat'>[]): number[] => answers.flatMap((answer) => (answer.ok ? [answer.seq] : []));

test('concurrent chats are stored, broadcast and answered in the order in which they were sent', async () => {
  const store = await newStore();
  let [under, most] = [0, 0];
  const counting = withOverrides(store, {
    append(room, append) {
      under += 1;
      most = Math.max(most, under);
      return store.append(room, append).finally(() => (under -= 1));
    },
  });
  const { say, received, stored } = await start(counting);
  const answered: string[] = [];
  const answers = await Promise.all(texts.map((text) => say(text).finally(() => answered.push(text))));
  expect(most, 'they are under way together').toBeGreaterThan(1);
  expect(seqsOf(answers)).toHaveLength(MANY);
  expect(seqsOf(answers)).toEqual(seqsOf(answers).toSorted((a, b) => a - b));
  expect(answered).toEqual(texts);
  expect(await stored()).toEqual(texts);
  expect(received).toEqual(texts);
});

test('concurrent chats stay in order when their expected versions move again and again', async () => {
  const store = await newStore();
  const moveMember = async () => {
    const key = memberKey(AYA);
    const facts = await store.read(ROOM, { keys: [key] });
    const member = facts.keys.get(key)?.value as unknown as MemberValue;
    await store.append(ROOM, conditionalAppend([draftJoin(claimName(facts, member), { node: 'node', quiet: false })], facts, [key]));
  };
  let moves = 0;
  const moving = withBefore(store, async (count) => {
    if (count % 7 !== 3 || moves === 20) return;
    moves += 1;
    await moveMember();
  });
  const { say, received, stored } = await start(moving);
  const answers = await Promise.all(texts.map(say));
  expect(moves).toBeGreaterThan(5);
  expect(seqsOf(answers)).toHaveLength(MANY);
  expect(await stored()).toEqual(texts);
  expect(received).toEqual(texts);
});

test('a concurrent chat that cannot be stored is refused alone, and the others stay in order', async () => {
  const store = await newStore();
  const failing = withBefore(store, async (count) => {
    if (count === 5) throw new Error('not this one');
  });
  const { say, stored } = await start(failing);
  const answers = await Promise.all(texts.map(say));
  expect(answers.map(({ ok }) => ok)).toEqual(texts.map((_, index) => index !== 4));
  expect(await stored()).toEqual(texts.filter((_, index) => index !== 4));
});

test('a request between concurrent chats waits for those before it, and those after it wait for the request', async () => {
  const { aya, say, stored } = await start(await newStore());
  const before = texts.slice(0, 10).map(say);
  const leaving = sendRequest(aya, 'remove:member', { roomId: ROOM, username: AYA });
  const after = texts.slice(10, 20).map(say);
  expect((await Promise.all(before)).every(({ ok }) => ok)).toBe(true);
  expect(await leaving).toMatchObject({ ok: true });
  for (const answer of await Promise.all(after)) expect(answer).toMatchObject({ ok: false, error: { code: 'not_a_member' } });
  expect(await stored()).toEqual(texts.slice(0, 10));
});

test('the same chat sent twice concurrently is stored once', async () => {
  const { aya, stored } = await start(await newStore());
  const twice = { roomId: ROOM, username: AYA, message: 'once', clientId: 'c-1' };
  const [first, second] = await Promise.all([sendRequest(aya, 'create:chat', twice), sendRequest(aya, 'create:chat', twice)]);
  expect(first).toMatchObject({ ok: true });
  expect(second).toEqual(first);
  expect(await stored()).toEqual(['once']);
});

describe('the facts read for earlier chats of a member', () => {
  const CHAT = { roomId: ROOM, username: BEN, message: 'hello' };
  const SESSION = { session: 'ben-'.padEnd(32, 's') };
  const isOfBen = ({ keys }: ReadQuery): boolean => keys?.join() === memberKey(BEN);

  async function start() {
    let reads = 0;
    const store = await newStore();
    const counting = withOverrides(store, {
      read(room, asked) {
        if (isOfBen(asked)) reads += 1;
        return store.read(room, asked);
      },
    });
    const { url } = await startServer({ store: counting, rateLimits: 'off' });
    const [aya, joined, ben] = [await connect(url), await connect(url, { auth: SESSION }), await connect(url, { auth: SESSION })];
    await requestOk(aya, 'create:room', { roomId: ROOM, username: AYA });
    await requestOk(joined, 'add:member', { roomId: ROOM, username: BEN });
    const readsOf = async (asked: Promise<unknown>): Promise<number> => {
      const before = reads;
      await asked;
      return reads - before;
    };
    expect(await readsOf(requestOk(ben, 'create:chat', { ...CHAT, clientId: 'c-1' }))).toBe(1);
    return { aya, joined, ben, readsOf };
  }

  test('are reused while they hold', async () => {
    const { ben, readsOf } = await start();
    expect(await readsOf(requestOk(ben, 'create:chat', CHAT))).toBe(0);
    await requestOk(ben, 'list:rooms', {});
    expect(await readsOf(requestOk(ben, 'create:chat', CHAT)), 'after something else').toBe(1);
  });

  test('do not let a removed member chat, nor another client under their name', async () => {
    const { aya, ben } = await start();
    await requestOk(aya, 'remove:member', { roomId: ROOM, username: BEN });
    expect(await requestError(ben, 'create:chat', CHAT)).toMatchObject({ code: 'not_a_member' });
    expect(await requestOk(ben, 'create:chat', { ...CHAT, clientId: 'c-1' }), 'sent before').toMatchObject({ seq: 4 });
    await requestOk(aya, 'add:member', { roomId: ROOM, username: BEN });
    expect(await requestError(ben, 'create:chat', CHAT)).toMatchObject({ code: 'not_a_member' });
  });

  test('do not refuse a member who rejoined', async () => {
    const { aya, joined, ben, readsOf } = await start();
    await requestOk(aya, 'remove:member', { roomId: ROOM, username: BEN });
    expect(await requestError(ben, 'create:chat', CHAT)).toMatchObject({ code: 'not_a_member' });
    await requestOk(joined, 'add:member', { roomId: ROOM, username: BEN });
    expect(await readsOf(requestOk(ben, 'create:chat', CHAT))).toBe(1);
  });

  test('are valid in one epoch of the room only', async () => {
    const { aya, ben } = await start();
    await requestOk(aya, 'delete:room', { roomId: ROOM, username: AYA });
    expect(await requestError(ben, 'create:chat', CHAT)).toMatchObject({ code: 'room_not_found' });
    await requestOk(aya, 'create:room', { roomId: ROOM, username: BEN });
    expect(await requestError(ben, 'create:chat', CHAT)).toMatchObject({ code: 'not_a_member' });
  });
});
