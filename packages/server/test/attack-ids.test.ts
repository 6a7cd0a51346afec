/** Hostile room ids, names and client ids (attack list, groups 58 to 62): what is legal is an id like any other, on every store. */
import type { Store } from '@engawa/server';
import { collectEvents, connect, nextEvent, requestError, requestOk, sendAny, until } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { ATTACKER_HEADERS, type BystanderScenario, ROOM, startWithBystanders } from './helpers/bystanders.ts';

const hostile = [
  'a::b',
  'a:b',
  '::',
  '{x}',
  '}{',
  '{}',
  '{',
  'room{1}{2}',
  'a#b',
  '*',
  '?',
  '[a-z]',
  '[^v]*',
  '%0a',
  '%00',
  '%',
  '../x',
  '..',
  '.',
  '/',
  '\\',
  'a/b',
  'a%2Fb',
  'a%2fb',
  'a%252Fb',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  '0',
  '-1',
  'Xp3vK9_fQ2aB-7LmAAAB',
  'xxxxxxxxxxxxxxxxxxxx',
  `room:${ROOM}`,
  `${ROOM}:`,
  `{${ROOM}}`,
  `${ROOM}%`,
  `${ROOM}*`,
  "'; DROP TABLE entries; --",
  '" OR 1=1',
  '$where',
  '$ne',
  '<script>alert(1)</script>',
  'member/aya',
  'settings',
  'entry/1/chat',
  'a b',
  'é',
  '部屋',
  '😀',
  'x'.repeat(128),
  'é'.repeat(64),
  '😀'.repeat(32),
];

/** Those of them that are not confusable with another one. */
const distinct = hostile.filter((name) => name !== 'a%2fb');

const illegal: [what: string, id: unknown][] = [
  ['nothing', ''],
  ['only spaces', '   '],
  ['only a wide space', '\u3000'],
  ['only what cannot be seen', '\u200b\u2060\u3164'],
  ['a space before', ' a'],
  ['a space after', 'a '],
  ['a wide space after', 'a\u3000'],
  ['a byte order mark before', '\ufeffa'],
  ['a line break', 'a\nb'],
  ['CR LF', 'a\r\nb'],
  ['CR LF alone', '\r\n'],
  ['a tab', 'a\tb'],
  ['NUL', 'a\u0000b'],
  ['NUL alone', '\u0000'],
  ['a bell', 'a\u0007'],
  ['an escape of terminals', '\u001b[2J'],
  ['DEL', 'a\u007f'],
  ['a control of the second table', 'a\u0085b'],
  ['a line separator', 'a\u2028b'],
  ['a paragraph separator', 'a\u2029b'],
  ['a bidi override', 'a\u202eb'],
  ['a bidi embedding', 'a\u202ab'],
  ['a bidi isolate', 'a\u2066b\u2069'],
  ['a high surrogate alone', 'a\ud83d'],
  ['a low surrogate alone', '\ude00a'],
  ['surrogates the wrong way round', '\ude00\ud83d'],
  ['129 bytes', 'x'.repeat(129)],
  ['130 bytes of 65 characters', 'é'.repeat(65)],
  ['132 bytes of 33 characters', '😀'.repeat(33)],
  ['126 bytes that NFC makes 252', '\u0958'.repeat(42)],
  ['10,000 characters', 'x'.repeat(10_000)],
  ['zero', 0],
  ['a number', 42],
  ['true', true],
  ['null', null],
  ['an array', ['a']],
  ['two rooms', [ROOM, 'b']],
  ['an empty array', []],
  ['an object', {}],
  ['$ne', { $ne: null }],
  ['$gt', { $gt: '' }],
  ['an object with toString', { toString: ROOM }],
];

async function start(store?: Store): Promise<BystanderScenario & { mallory: Socket }> {
  const setup = await startWithBystanders({ rateLimits: 'off', ...(store && { store }) });
  return { ...setup, mallory: await connect(setup.url, { extraHeaders: ATTACKER_HEADERS }) };
}

/** The room is opened, used, read, listed and deleted, and does not affect the room of the others. */
async function isLikeAnyOther(
  roomId: string,
  { url, mallory, aya, ben, expectUnharmed }: Awaited<ReturnType<typeof start>>,
): Promise<void> {
  const ears = [aya, ben, mallory];
  const leaked = ears.map((socket) => collectEvents(socket, 'create:chat:success'));
  const mia = await connect(url, { extraHeaders: ATTACKER_HEADERS });
  expect(await requestOk(mallory, 'create:room', { roomId, username: 'mallory' })).toMatchObject({ roomId, role: 'owner', members: 1 });
  expect(await requestOk(mia, 'add:member', { roomId, username: 'mia' })).toMatchObject({ roomId, role: 'member', members: 2 });
  const receives = nextEvent(mia, 'create:chat:success');
  const { seq } = await requestOk(mallory, 'create:chat', { roomId, username: 'mallory', message: 'hello' });
  expect(await receives).toMatchObject({ roomId, seq, message: 'hello' });
  expect((await requestOk(mia, 'list:chats', { roomId })).chats).toMatchObject([{ seq, username: 'mallory', message: 'hello' }]);
  expect((await requestOk(mia, 'list:rooms', {})).rooms.map((room) => room.roomId).sort()).toEqual([roomId, ROOM].sort());
  await expectUnharmed();
  expect(
    leaked.map((chats) => [...new Set(chats.map((chat) => chat.roomId))]),
    roomId,
  ).toEqual([[ROOM], [ROOM], [roomId]]);
  expect((await requestOk(aya, 'list:chats', { roomId: ROOM })).chats.map((chat) => chat.message)).not.toContain('hello');
  for (const socket of ears) socket.off('create:chat:success');
  await requestOk(mallory, 'delete:room', { roomId, username: 'mallory' });
  expect((await requestOk(mia, 'list:rooms', {})).rooms.map((room) => room.roomId)).toEqual([ROOM]);
  await expectUnharmed();
}

const oneByOne = hostile.map((id): [string, string[]] => [JSON.stringify(id), [id]]);

/** Sequentially in one room, since this takes less time. */
const together: [string, string[]][] = [['each of these ids', hostile]];

describe.each(storeKinds.map(([name, open], place) => [name, open, place === 0 ? oneByOne : together] as const))(
  'on the %s store',
  (_, open, ids) => {
    test.each(ids)('58: %s is an ordinary room id', async (__, roomIds) => {
      const setup = await start(await open());
      for (const roomId of roomIds) await isLikeAnyOther(roomId, setup);
    });

    test('58: a socket id of another client is an ordinary room id, and its room receives nothing of that client', async () => {
      const setup = await start(await open());
      const { aya, mallory } = setup;
      const [hers, leaked, intruding] = [
        collectEvents(aya, 'error'),
        collectEvents(mallory, 'error'),
        collectEvents(aya, 'add:member:success'),
      ];
      await isLikeAnyOther(String(aya.id), setup);
      await requestOk(mallory, 'create:room', { roomId: String(aya.id), username: 'mallory' });
      aya.emit('create:chat', { roomId: 'nowhere', username: 'aya', message: 'x' });
      await setup.expectUnharmed();
      expect(hers).toMatchObject([{ code: 'room_not_found' }]);
      expect([leaked, intruding]).toEqual([[], []]);
    });

    test('58: each of these rooms receives its own entries and no others', async () => {
      const { url, mallory, expectUnharmed } = await start(await open());
      const ears = await Promise.all(
        distinct.map(async (roomId) => {
          const guest = await connect(url, { extraHeaders: ATTACKER_HEADERS });
          await requestOk(mallory, 'create:room', { roomId, username: 'mallory' });
          await requestOk(guest, 'add:member', { roomId, username: 'guest' });
          return collectEvents(guest, 'create:chat:success');
        }),
      );
      await Promise.all(distinct.map((roomId) => requestOk(mallory, 'create:chat', { roomId, username: 'mallory', message: roomId })));
      await until(() => ears.every((chats) => chats.length > 0), 'every room has received something');
      await expectUnharmed();
      expect(ears.map((chats) => chats.map((chat) => [chat.roomId, chat.message]))).toEqual(distinct.map((roomId) => [[roomId, roomId]]));
    });

    test('58: hostile names in one room do not collide: each is listed, chats, reacts and leaves on its own', async () => {
      const { url, aya, expectUnharmed } = await start(await open());
      const names = distinct.slice(0, 35);
      const guests = await Promise.all(names.map(() => connect(url, { extraHeaders: ATTACKER_HEADERS })));
      const { seq: chatSeq } = await requestOk(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: 'who is there?' });
      for (const [each, username] of names.entries()) {
        expect(await requestOk(guests[each]!, 'add:member', { roomId: ROOM, username })).toMatchObject({
          username,
          role: 'member',
          members: each + 3,
        });
        expect(await requestOk(guests[each]!, 'create:chat', { roomId: ROOM, username, message: username })).toMatchObject({
          roomId: ROOM,
        });
      }
      const here = ['aya', 'ben', ...names];
      expect(await everyMember(aya, 1)).toEqual(await everyMember(aya, 500));
      expect((await everyMember(aya, 7)).sort()).toEqual([...here].sort());

      const reactions = new Map([
        ['a/b', '/'],
        ['a%2Fb', '%'],
        ['/', '👍'],
      ]);
      const guestOf = (username: string): Socket => guests[names.indexOf(username)]!;
      for (const [username, reaction] of reactions)
        await requestOk(guestOf(username), 'add:reaction', { roomId: ROOM, username, chatSeq, reaction });
      for (const username of names) {
        const { chats } = await requestOk(guestOf(username), 'list:chats', { roomId: ROOM, around: chatSeq, limit: 1 });
        const given = chats.find((chat) => chat.seq === chatSeq)?.reactions ?? [];
        expect(
          given.filter(({ mine }) => mine).map(({ reaction }) => reaction),
          username,
        ).toEqual([reactions.get(username) ?? []].flat());
      }
      for (const [each, username] of names.entries()) {
        await requestOk(guests[each]!, 'remove:member', { roomId: ROOM, username });
        expect((await requestOk(aya, 'list:members', { roomId: ROOM })).count).toBe(here.length - each - 1);
      }
      await expectUnharmed();
    });

    async function everyMember(socket: Socket, limit: number): Promise<string[]> {
      const names: string[] = [];
      for (let hasMore = true; hasMore; ) {
        const page = await requestOk(socket, 'list:members', { roomId: ROOM, limit, ...(names.length > 0 && { after: names.at(-1)! }) });
        names.push(...page.members.map((member) => member.username));
        hasMore = page.hasMore;
      }
      return names;
    }

    test.each(['__proto__', 'constructor', 'a:b', '::', '%', '/', '*', '{x}', 'x'.repeat(128)])(
      '58: client id %j is stored once',
      async (clientId) => {
        const { aya, ben, expectUnharmed } = await start(await open());
        const say = (socket: Socket, username: string) =>
          requestOk(socket, 'create:chat', { roomId: ROOM, username, message: username, clientId });
        const first = await say(aya, 'aya');
        expect((await say(aya, 'aya')).seq).toBe(first.seq);
        expect((await say(ben, 'ben')).seq).toBe(first.seq + 1);
        await expectUnharmed();
      },
    );

    test.each([
      ['in case', 'Mallory', 'mALLORY'],
      ['in case, where one letter is two', 'straße', 'STRASSE'],
      ['in case, with the capital sharp s', 'STRAẞE', 'strasse'],
      ['in case, with a letter that ends words', 'σοφός', 'ΣΟΦΌΣ'],
      ['in the letter that ends words', 'σοφός', 'σοφόσ'],
      ['by NFC', 'é', 'e\u0301'],
      ['in the order of marks', 'a\u0323\u0307', 'a\u0307\u0323'],
      ['in width', 'ｍａｌ', 'mal'],
      ['in a ligature', 'ﬁn', 'fin'],
      ['in a zero-width space', 'mallory', 'mal\u200blory'],
      ['in a joiner', 'mallory', 'mal\u200dlory'],
      ['in a soft hyphen', 'mallory', 'mal\u00adlory'],
      ['in a Hangul filler', 'mallory', 'mal\u3164lory'],
      ['in tag characters', 'mallory', 'mallory\u{e0061}\u{e007f}'],
      ['in a variation selector', 'mallory', 'mallory\ufe0f'],
      ['in spaces', 'mal lory', 'mal  lory'],
      ['in the width of a space', 'mal lory', 'mal\u3000lory'],
    ])('62: names that differ only %s are the same name', async (__, one, other) => {
      const { url, mallory, aya, expectUnharmed } = await start(await open());
      await requestOk(mallory, 'add:member', { roomId: ROOM, username: one });
      const thief = await connect(url, { extraHeaders: ATTACKER_HEADERS });
      expect((await requestError(thief, 'add:member', { roomId: ROOM, username: other })).code).toBe('name_taken');
      expect((await requestError(thief, 'create:chat', { roomId: ROOM, username: other, message: 'x' })).code).toBe('not_a_member');
      expect((await requestOk(aya, 'list:members', { roomId: ROOM })).count).toBe(3);
      await expectUnharmed();
    });

    test.each([
      ['é', 'e\u0301'],
      ['K', '\u212a'],
      ['Å', '\u212b'],
      ['한', '\u1112\u1161\u11ab'],
      ['a\u0323\u0307', 'a\u0307\u0323'],
    ])('62: %j and %j are the same room id', async (one, other) => {
      const { mallory, aya, expectUnharmed } = await start(await open());
      const roomId = one.normalize('NFC');
      expect(await requestOk(mallory, 'create:room', { roomId: other, username: 'mallory' })).toMatchObject({ roomId });
      expect((await requestError(aya, 'create:room', { roomId: one, username: 'aya' })).code).toBe('room_exists');
      await requestOk(aya, 'add:member', { roomId: one, username: 'aya' });
      const receives = nextEvent(mallory, 'create:chat:success');
      await requestOk(aya, 'create:chat', { roomId: other, username: 'aya', message: 'x' });
      expect(await receives).toMatchObject({ roomId });
      await expectUnharmed();
    });
  },
);

test.each(illegal)('58: %s is invalid as room id, name and client id', async (_, id) => {
  const { aya, mallory, expectUnharmed } = await start();
  const valid = { roomId: ROOM, username: 'mallory', message: 'x' };
  const asks: [event: string, payload: object][] = [
    ['create:room', { ...valid, roomId: id }],
    ['create:room', { ...valid, roomId: 'other', username: id }],
    ['add:member', { ...valid, roomId: id }],
    ['add:member', { ...valid, username: id }],
    ['remove:member', { ...valid, username: id }],
    ['create:chat', { ...valid, roomId: id }],
    ['create:chat', { ...valid, username: id }],
    ['create:chat', { ...valid, clientId: id }],
    ['list:chats', { roomId: id }],
    ['list:members', { roomId: ROOM, after: id }],
    ['list:entries', { roomId: id, epoch: 'any', seq: 0 }],
    ['list:rooms', { after: id }],
  ];
  for (const [event, payload] of asks) {
    expect(await sendAny(mallory, event, payload), event).toMatchObject({
      ok: false,
      error: { code: 'invalid_payload', retryable: false },
    });
  }
  expect((await requestOk(aya, 'list:rooms', {})).rooms.map((room) => room.roomId)).toEqual([ROOM]);
  await expectUnharmed();
});

test.each([
  ['case', 'Lobby', 'lobby'],
  ['width', 'ｌｏｂｂｙ', 'lobby'],
])('62: only one room is opened of ids that differ in %s', async (_, one, other) => {
  const { mallory, expectUnharmed } = await start();
  await requestOk(mallory, 'create:room', { roomId: one, username: 'mallory' });
  expect((await requestError(mallory, 'create:room', { roomId: other, username: 'mallory' })).code).toBe('room_confusable');
  await expectUnharmed();
});
