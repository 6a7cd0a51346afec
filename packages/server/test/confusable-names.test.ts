/** Confusable names and room ids (attack list, groups 62 to 66 and 68), on every store. */
import type { Store } from '@engawa/server';
import { connect, requestError, requestOk, sendRequest, startServer, until } from '@engawa/testkit/processes/server';
import { seed } from '@engawa/testkit/seed';
import { isOnRedis, newStore, storeForAnotherServer, storeKinds } from '@engawa/testkit/stores';
import fc from 'fast-check';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { comparisonForms } from '#domain/confusables.js';
import { executeCommand } from '#domain/execute-command.js';
import { addMember, removeMember } from '#domain/members.js';
import { type MemberValue, memberKey, type RoomSettings, settingsKey } from '#domain/room-keys.js';
import { createRoom } from '#domain/rooms.js';

/** No quota. */
const headroom = { writeRetryAfterMs: 0, roomsPerSession: null, roomBytes: null, exceededRoomQuota: undefined, storageShare: 0 };

const roomId = 'veranda';
const GRACE = 400;

async function start(store: Store) {
  const { url } = await startServer({ store, rateLimits: 'off', graceMs: GRACE });
  const [aya, mallory] = [await connect(url), await connect(url)];
  await requestOk(aya, 'create:room', { roomId, username: 'owner' });
  return { url, store, aya, mallory };
}

const join = (socket: Socket, username: string) => sendRequest(socket, 'add:member', { roomId, username });
const codeOf = (answer: Awaited<ReturnType<typeof join>>): string => (answer.ok ? 'ok' : answer.error.code);

/** For a member's name, another name, and the error with which it is refused. */
const besides: [what: string, name: string, other: string, code: string][] = [
  ['a blank of Braille', 'aya', 'aya\u2800', 'invalid_payload'],
  ['an annotation anchor', 'aya', 'aya\ufff9', 'invalid_payload'],
  ['a private character', 'aya', 'aya\ue000', 'invalid_payload'],
  ['a noncharacter', 'aya', 'aya\uffff', 'invalid_payload'],
  ['60 marks', 'aya', `aya${'\u0301'.repeat(60)}`, 'invalid_payload'],
  ['a picture that 10 KB are joined to', 'aya', Array.from({ length: 1_000 }, () => '👩').join('\u200d'), 'invalid_payload'],
  ['a line break', 'aya', 'aya\r\nben', 'invalid_payload'],
  ['an escape of terminals', 'aya', '\u001b[2Jaya', 'invalid_payload'],
  ['half of a character', 'aya', 'aya\ud83d', 'invalid_payload'],
  ['an override', 'aya', 'aya\u202e', 'invalid_payload'],
  ['a left-to-right mark', 'aya', 'aya\u200e', 'name_taken'],
  ['a zero-width space', 'aya', 'ay\u200ba', 'name_taken'],
  ['a word joiner', 'aya', 'ay\u2060a', 'name_taken'],
  ['a byte order mark', 'aya', 'ay\ufeffa', 'name_taken'],
  ['a Hangul filler', 'aya', 'ay\u3164a', 'name_taken'],
  ['tag characters', 'aya', 'aya\u{e0061}\u{e007f}', 'name_taken'],
  ['two spaces for one', 'aya mori', 'aya  mori', 'name_taken'],
  ['a wide space for a space', 'aya mori', 'aya\u3000mori', 'name_taken'],
  ['case', 'Aya', 'aYA', 'name_taken'],
  ['width', 'admin', 'ａｄｍｉｎ', 'name_taken'],
  ['the order of marks', 'a\u0323\u0307', 'a\u0307\u0323', 'name_taken'],
  ['Cyrillic', 'aya', 'аya', 'name_confusable'],
  ['all of it Cyrillic', 'aya', 'ауа', 'name_confusable'],
  ['Cyrillic beside a capital', 'Admin', 'аdmin', 'name_confusable'],
  ['a letter of phonetics', 'google', 'ɡoogle', 'name_confusable'],
  ['two letters for one', 'modern', 'rnodern', 'name_confusable'],
  ['an l for a capital I', 'Iris', 'lris', 'name_confusable'],
  ['a capital I for an l', 'lris', 'Iris', 'name_confusable'],
  ['an l for a one', 'user1', 'userl', 'name_confusable'],
  ['a one for an l', 'userl', 'user1', 'name_confusable'],
  ['a zero for an o', 'bob', 'b0b', 'name_confusable'],
  ['a confusable of a confusable', 'аya', 'aуa', 'name_confusable'],
  ['a typographic apostrophe', "O'Brien", 'O’Brien', 'name_confusable'],
];

/** Present together: no two of them are confusable. */
const together = [
  'aya', 'ben', "O'Brien", 'José', 'Jose', 'Nguyễn', 'Zoë', 'Łukasz', 'Анна', 'Инна', 'Σωκράτης', 'Հայկ', 'שָׁלוֹם', 'علی\u200cرضا', 'محمد',
  'अमृता', 'क्\u200dष', 'தமிழ்', 'ไทย', 'လျှော့', '김민준', '山田太郎', 'カメ', '力メ', 'ー', '一', 'ニコ', '二コ', '👨\u200d👩\u200d👧', '👩\u200d👧', '🇯🇵', '🇫🇷',
  '1\ufe0f\u20e3', '2\ufe0f\u20e3', 'member-10', 'member-11', 'member-100', 'iris', 'Björn', 'Bjorn', 'system', 'admin', 'everyone', 'here', 'null',
  'undefined', '@everyone', '__proto__',
]; // biome-ignore format: a list

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('62-66: no client gets a name that is confusable with that of a member, or that has hidden characters', async () => {
    const { aya, mallory } = await start(await open());
    for (const [what, name, other, code] of besides) {
      await requestOk(aya, 'add:member', { roomId, username: name });
      expect(await requestError(mallory, 'add:member', { roomId, username: other }), what).toMatchObject({ code, retryable: false });
      const { members } = await requestOk(aya, 'list:members', { roomId });
      expect(members.map(({ username }) => username).sort(), what).toEqual([name.normalize('NFC'), 'owner'].sort());
      await requestOk(aya, 'remove:member', { roomId, username: name });
    }
  });

  test('68: real names of many scripts, kana beside Han, and special identifiers are accepted', async () => {
    const { url, aya } = await start(await open());
    for (const username of together) {
      const answer = await requestOk(await connect(url), 'add:member', { roomId, username });
      expect(answer).toMatchObject({ username: username.normalize('NFC'), role: 'member' });
    }
    expect((await requestOk(aya, 'list:members', { roomId, limit: 500 })).count).toBe(together.length + 1);
  });

  test('confusable names are free once the member has left, was removed, or timed out', async () => {
    const { url, aya } = await start(await open());
    const looks = ['user1', 'userl', 'uѕerl', 'user1'];
    for (const ending of ['leaves', 'is removed', 'is gone']) {
      for (const username of looks) {
        const guest = await connect(url);
        await requestOk(guest, 'add:member', { roomId, username });
        const other = looks.find((each) => each !== username)!;
        expect(codeOf(await join(await connect(url), other)), `${other} beside ${username}`).toBe('name_confusable');
        if (ending === 'leaves') await requestOk(guest, 'remove:member', { roomId, username });
        else if (ending === 'is removed') await requestOk(aya, 'remove:member', { roomId, username });
        else guest.io.engine.close();
        await until(async () => (await requestOk(aya, 'list:members', { roomId })).count === 1, `${username} ${ending}`);
      }
    }
  });

  test('of many clients on two servers that request confusable names at once, one gets its name', async () => {
    const { url, store } = await start(await open());
    const other = await startServer({ store: await storeForAnotherServer(store), rateLimits: 'off', graceMs: GRACE });
    const names = ['aya1', 'ayal', 'ayaI', 'aya|', 'аya1', 'ауаl', 'aуаӀ', 'AYAL', 'ａｙａ１', 'Аyаl'];
    const guests = await Promise.all([url, other.url].flatMap((each) => names.map(() => connect(each))));
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(guests.map((guest, index) => join(guest, names[(index + round) % names.length]!)));
      expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
      expect(new Set(answers.map(codeOf).filter((code) => code !== 'ok'))).toEqual(new Set(['name_confusable', 'name_taken']));
      const winner = answers.findIndex(({ ok }) => ok);
      await requestOk(guests[winner]!, 'remove:member', { roomId, username: names[(winner + round) % names.length]! });
    }
  });

  test('a member who requests their own name again keeps it, whatever it is confusable with', async () => {
    const { url, store } = await start(await open());
    const iris = await connect(url);
    const { session } = await requestOk(iris, 'add:member', { roomId, username: 'Iris' });
    const phone = await connect(url, { auth: { session } });
    expect(await requestOk(phone, 'add:member', { roomId, username: 'iris' })).toMatchObject({ username: 'Iris', members: 2 });
    expect((await requestError(phone, 'add:member', { roomId, username: 'lris' })).code).toBe('name_confusable');
    const { seq } = await store.readPage(roomId, { limit: 1 }).then(({ head }) => ({ seq: head }));
    expect(seq).toBe(3);
  });

  test.each([
    ['case', 'Lobby', 'lobby'],
    ['case', 'lobby', 'LOBBY'],
    ['width', 'ｌｏｂｂｙ', 'lobby'],
    ['width', 'lobby', 'ｌｏｂｂｙ'],
    ['spaces', 'the lobby', 'the  lobby'],
    ['spaces', 'the\u3000lobby', 'the lobby'],
    ['Cyrillic', 'lobby', 'lоbby'],
    ['Cyrillic', 'lоbby', 'lobby'],
    ['Cyrillic elsewhere', 'lоbby', 'lobbу'],
    ['a capital I', 'lobby', 'Iobby'],
    ['a capital I and a one', 'Iobby', '1obby'],
  ])('62: no room is opened whose id differs from an existing one in %s: %j, %j', async (__, one, other) => {
    const { aya, mallory } = await start(await open());
    await requestOk(aya, 'create:room', { roomId: one, username: 'aya' });
    expect(await requestError(mallory, 'create:room', { roomId: other, username: 'mallory' })).toMatchObject({
      code: 'room_confusable',
      retryable: false,
    });
    expect((await requestError(mallory, 'create:room', { roomId: one, username: 'mallory' })).code).toBe('room_exists');
    expect((await requestError(mallory, 'add:member', { roomId: other, username: 'mallory' })).code).toBe('room_not_found');
    await requestOk(aya, 'delete:room', { roomId: one, username: 'aya' });
    await requestOk(mallory, 'create:room', { roomId: other, username: 'mallory' });
  });

  test('a retry of create:room is answered as the first time', async () => {
    const { aya } = await start(await open());
    const first = await requestOk(aya, 'create:room', { roomId: 'Lobby', username: 'aya', clientId: 'c1' });
    expect(await requestOk(aya, 'create:room', { roomId: 'Lobby', username: 'aya', clientId: 'c1' })).toMatchObject({
      id: first.id,
      seq: first.seq,
    });
  });

  test.each(['den\u2800', 'den\u200b', 'den\ue000', 'den\uffff', `den${'\u0301'.repeat(40)}`])(
    'no room is opened as %j, nor by a name of that kind',
    async (name) => {
      const { mallory } = await start(await open());
      for (const ask of [
        { roomId: name, username: 'mallory' },
        { roomId: 'den', username: name },
      ])
        expect((await requestError(mallory, 'create:room', ask)).code).toBe('invalid_payload');
    },
  );

  test('a room and members of an earlier version, with names that are no longer valid, continue to work', async () => {
    const { store, url, aya } = await start(await open());
    const [old, name] = ['den\u2800\ue000', 'a\u200bya\ufff9'];
    const { session } = await requestOk(aya, 'add:member', { roomId, username: 'me' });
    const { author } = (await store.read(roomId, { keys: [memberKey('me')] })).keys.get(memberKey('me'))!.value as unknown as MemberValue;
    await openOldRoom(store, old, { username: name, author });

    expect((await requestOk(aya, 'list:rooms', {})).rooms.map((room) => room.roomId).sort()).toEqual([old, roomId].sort());
    expect(await requestOk(aya, 'add:member', { roomId: old, username: name })).toMatchObject({
      username: name,
      role: 'owner',
      members: 1,
    });
    const { seq } = await requestOk(aya, 'create:chat', { roomId: old, username: name, message: 'still here' });
    await requestOk(aya, 'add:reaction', { roomId: old, username: name, chatSeq: seq, reaction: '👍' });
    expect((await requestOk(aya, 'list:chats', { roomId: old })).chats).toMatchObject([{ seq, reactions: [{ count: 1, mine: true }] }]);
    expect((await requestOk(aya, 'list:members', { roomId: old })).members).toMatchObject([{ username: name }]);
    const back = await connect(url, { auth: { session } });
    const { rooms } = await requestOk(back, 'resume:rooms', { rooms: [{ roomId: old, username: name, epoch: 'another', seq: 0 }] });
    expect(rooms).toMatchObject([{ outcome: 'reset', roomId: old, username: name }]);

    const outsider = await connect(url);
    expect((await requestError(outsider, 'add:member', { roomId: old, username: 'b\u200ben' })).code).toBe('invalid_payload');
    expect((await requestError(outsider, 'create:room', { roomId: old, username: 'ben' })).code).toBe('invalid_payload');
    await requestOk(outsider, 'add:member', { roomId: old, username: 'ben' });
    await requestOk(back, 'remove:member', { roomId: old, username: name });
    expect((await requestError(back, 'add:member', { roomId: old, username: name })).code).toBe('invalid_payload');
  });

  test('a member whose name an earlier version folded otherwise times out once', async () => {
    const { store, aya } = await start(await open());
    const key = 'member/a  b';
    const member = { username: 'a  b', author: 'nobody' };
    await store.append(roomId, {
      epoch: (await store.read(roomId, {})).epoch,
      expectedVersions: [],
      drafts: [
        { id: 'e1', by: 'a  b', author: 'nobody', kind: 'add:member', body: {}, keyUpdates: [[key, member]], lease: { key, node: 'gone' } },
      ],
    });
    await until(async () => (await requestOk(aya, 'list:members', { roomId })).count === 1, 'the lease has expired');
    await new Promise((resolve) => setTimeout(resolve, 2 * GRACE));
    expect((await store.readPage(roomId, { limit: 500 })).entries.filter(({ kind }) => kind === 'remove:member')).toHaveLength(1);
  });
});

const areConfusable = (one: string, other: string): boolean => comparisonForms(one).some((form) => comparisonForms(other).includes(form));

/** Like a version without confusable checks and without reserved owner names. */
async function openOldRoom(store: Store, room: string, member: { username: string; author: string }): Promise<void> {
  const { username: by, author } = member;
  const settings = { owner: author, topic: '' } satisfies RoomSettings;
  // The key that folded to this name then folds to it now.
  const key = memberKey(by);
  await store.append(room, {
    epoch: null,
    expectedVersions: [],
    drafts: [
      { id: `${room} 1`, by, author, kind: 'create:room', body: {}, keyUpdates: [[settingsKey, settings]] },
      { id: `${room} 2`, by, author, kind: 'add:member', body: {}, keyUpdates: [[key, member]], lease: { key, node: 'gone' } },
    ],
  });
}

test('in a random run, no two present names are confusable, and only confusable names are refused', {
  timeout: 120_000,
}, async () => {
  const unit = fc.constantFrom(...'aAаΑαIl1|ӏ0Oоrnmｍéカ力\u0301 ');
  const name = fc.string({ unit, minLength: 1, maxLength: 3 });
  const step = fc.record({ author: fc.constantFrom('α', 'β', 'γ', 'δ'), username: name, isLeaving: fc.nat(3).map((dice) => dice === 0) });
  const outcomes: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), async (steps) => {
      const store = await newStore();
      const there = new Map<string, string>();
      const caller = (author: string) => ({ author, node: 'node', username: undefined, largeRoomThreshold: 200, headroom });
      await executeCommand({ store, rule: createRoom, command: { roomId, username: 'owner' }, caller: caller('owner') });
      for (const { author, username, isLeaving } of steps) {
        const own = [...there].find(([, of]) => of === author)?.[0];
        if (isLeaving && own !== undefined) {
          await executeCommand({ store, rule: removeMember, command: { roomId, username: own }, caller: caller(author) });
          there.delete(own);
        }
        const alike = [...there.keys(), 'owner'].filter((each) => areConfusable(each, username));
        const code = await executeCommand({ store, rule: addMember, command: { roomId, username }, caller: caller(author) }).then(
          ({ outcome }) => outcome,
          (error: { code: string }) => error.code,
        );
        outcomes[code] = (outcomes[code] ?? 0) + 1;
        if (code === 'appended') {
          expect(alike, `${username} beside ${alike.join()}`).toEqual([]);
          there.set(username, author);
        } else if (code !== 'invalid_payload') expect(alike, username).not.toEqual([]);
      }
    }),
    { numRuns: isOnRedis ? 20 : 300, seed },
  );
  expect(Object.keys(outcomes).sort()).toEqual(['appended', 'invalid_payload', 'name_confusable', 'name_taken', 'unchanged']);
});
