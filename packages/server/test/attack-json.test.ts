/** Hostile JSON and types (attack list, groups 38 to 44): refused, never stored, and without an effect on other clients. */
import { type EventName, events } from '@engawa/protocol';
import { attack, connectRaw, openRawWebSocket, type RawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { collectEvents, connect, requestOk, sendAny, until, withTimeout } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import { describe, expect, test } from 'vitest';
import { ATTACKER_HEADERS, type BystanderScenario, ROOM, startWithBystanders } from './helpers/bystanders.ts';

const INVALID = ['invalid_payload'];
const arrays = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const objects = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const asked = (event: string, payload: string): string => `427["${event}",${payload}]`;
const chat = (more: string): string => asked('create:chat', `{"roomId":"${ROOM}","username":"mallory",${more}}`);

/** The attacker is a member, so that only the payload can be refused. */
async function startMallory(
  options: Parameters<typeof startWithBystanders>[0] = {},
): Promise<BystanderScenario & { mallory: RawWebSocket }> {
  const setup = await startWithBystanders(options);
  const mallory = await connectRaw(await openRawWebSocket(setup.url, { headers: ATTACKER_HEADERS }));
  expect(await attack(mallory, [asked('add:member', `{"roomId":"${ROOM}","username":"mallory"}`)])).toEqual([]);
  return { ...setup, mallory };
}

describe.each<[group: string, cases: [what: string, frame: string, refusals: string[]][]]>([
  [
    '38: depth',
    [
      ['a payload of 5,000 arrays', asked('create:chat', arrays(5_000)), INVALID],
      ['a payload of 5,000 objects', asked('create:chat', objects(5_000)), INVALID],
      ['a payload of 30,000 arrays', asked('create:chat', arrays(30_000)), INVALID],
      ['a text of 5,000 arrays', chat(`"message":${arrays(5_000)}`), INVALID],
      ['an unknown field of 5,000 objects', chat(`"message":"x","more":${objects(5_000)}`), INVALID],
      ['an unknown event with 5,000 arrays', asked('create:caht', arrays(5_000)), ['unknown_event']],
      ['5,000 arrays after the payload', asked('list:rooms', `{},${arrays(5_000)}`), []],
      ['5,000 arrays in an unsolicited answer', `437[${arrays(5_000)}]`, []],
    ],
  ],
  [
    '39: breadth',
    [
      ['an array of 30,000', asked('create:chat', `[${'1,'.repeat(29_999)}1]`), INVALID],
      ['a text of 30,000 elements', chat(`"message":[${'1,'.repeat(29_999)}1]`), INVALID],
      ['30,000 payloads', asked('create:chat', `${'1,'.repeat(29_999)}1`), INVALID],
      ['3,000 unknown fields', chat(`"message":"x",${Array.from({ length: 3_000 }, (_, each) => `"${each}":1`).join()}`), []],
      ['6,000 unknown fields', chat(`"message":"x",${Array.from({ length: 6_000 }, (_, each) => `"${each}":1`).join()}`), INVALID],
      [
        '1,024 fields made to collide',
        chat(
          `"message":"x",${colliding(10)
            .map((key) => `"${key}":1`)
            .join()}`,
        ),
        [],
      ],
      ['a field given twice', chat('"message":"x","message":{"$ne":null}'), INVALID],
    ],
  ],
  [
    '40: keys that mean something to the language',
    [
      ['__proto__ for a payload', asked('create:chat', `{"__proto__":{"roomId":"${ROOM}","username":"mallory","message":"x"}}`), INVALID],
      ['constructor for a payload', asked('create:chat', '{"constructor":{"prototype":{"message":"x"}}}'), INVALID],
      ['a text with toJSON', chat('"message":{"toJSON":"x"}'), INVALID],
      ['a text with toString', chat('"message":{"toString":"x","valueOf":"x"}'), INVALID],
      ['a text with then', chat('"message":{"then":"x"}'), INVALID],
      ['a text with length -1', chat('"message":{"length":-1}'), INVALID],
      ['a length without elements', asked('create:chat', '{"length":-1,"0":"x"}'), INVALID],
      ['a payload with then', asked('create:chat', '{"then":{"then":"x"}}'), INVALID],
      ['an array for a payload', asked('create:chat', '[]'), INVALID],
      ['null for a payload', asked('create:chat', 'null'), INVALID],
      ['a text for a payload', asked('create:chat', '"x"'), INVALID],
      ['a number for a payload', asked('list:rooms', '0'), INVALID],
      ['false for a payload', asked('list:rooms', 'false'), INVALID],
    ],
  ],
])('%s', (_, cases) => {
  test.each(cases)('%s is answered as specified', async (__, frame, refusals) => {
    const { mallory, expectUnharmed } = await startMallory();
    expect(await attack(mallory, [frame])).toEqual(refusals);
    await expectUnharmed();
  });
});

test.each([
  ['100,000 arrays', asked('create:chat', arrays(100_000))],
  ['100,000 objects', asked('create:chat', objects(100_000))],
  ['a million elements', asked('create:chat', `[${'1,'.repeat(999_999)}1]`)],
  ['a million keys', asked('create:chat', `{${Array.from({ length: 1_000_000 }, (_, each) => `"${each}":1`).join()}}`)],
  [
    '65,536 keys made to collide',
    chat(
      `"message":"x",${colliding(14)
        .map((key) => `"${key}":1`)
        .join()}`,
    ),
  ],
])('38, 39: %s end the connection of the sender', async (_, frame) => {
  const { mallory, expectUnharmed } = await startMallory();
  await mallory.send(frame);
  expect(await withTimeout(mallory.code, 'the end of the connection')).toBe(1009);
  await expectUnharmed();
});

test('40, 41: fields that a client adds to a chat are neither trusted nor passed on', async () => {
  const { mallory, aya, store, expectUnharmed } = await startMallory();
  const received = collectEvents(aya, 'create:chat:success');
  const hostile = [
    '"__proto__":{"isAdmin":true}',
    '"constructor":{"prototype":{"isAdmin":true}}',
    '"toJSON":"x","then":{"then":"x"},"valueOf":1,"length":-1',
    '"seq":9007199254740993,"at":1e999,"epoch":"x","id":"x","prev":"x","by":"aya","author":"aya","role":"owner","kind":"delete:room","system":true',
  ];
  expect(
    await attack(
      mallory,
      hostile.map((more) => chat(`"message":"hello",${more}`)),
    ),
  ).toEqual([]);
  await until(() => received.length === hostile.length, 'aya receives all of it');
  for (const each of received) {
    expect(Object.keys(each).sort()).toEqual(['at', 'by', 'epoch', 'id', 'message', 'prev', 'roomId', 'seq', 'username']);
    expect(each).toMatchObject({ by: 'mallory', username: 'mallory', message: 'hello' });
  }
  const stored = (await store.readPage(ROOM, { limit: hostile.length })).entries;
  expect(stored.map(({ kind, by, body }) => [kind, by, body])).toEqual(hostile.map(() => ['create:chat', 'mallory', { message: 'hello' }]));
  expect({}).not.toHaveProperty('isAdmin');
  await expectUnharmed();
});

describe('41, 43: numbers', () => {
  const numbers = [
    '1e999',
    '-1e999',
    '1.7976931348623157e308',
    '9007199254740993',
    '9007199254740992',
    '-0',
    '0',
    '-1',
    '2.5',
    '1e-7',
    '"1"',
    '"10; DROP"',
    'null',
    '[1]',
    '{"$gt":0}',
    'true',
  ];
  const fields: [event: EventName, field: string, rest: string][] = [
    ['list:rooms', 'limit', ''],
    ['list:members', 'limit', `"roomId":"${ROOM}",`],
    ...['limit', 'before', 'after', 'around'].map((field): [EventName, string, string] => ['list:chats', field, `"roomId":"${ROOM}",`]),
    ...['limit', 'seq'].map((field): [EventName, string, string] => [
      'list:entries',
      field,
      `"roomId":"${ROOM}","epoch":"any",${field === 'seq' ? '' : '"seq":1,'}`,
    ]),
    ['update:chat', 'chatSeq', `"roomId":"${ROOM}","username":"mallory","message":"x",`],
    ['delete:chat', 'chatSeq', `"roomId":"${ROOM}","username":"mallory",`],
    ['add:reaction', 'chatSeq', `"roomId":"${ROOM}","username":"mallory","reaction":"👍",`],
    ['remove:reaction', 'chatSeq', `"roomId":"${ROOM}","username":"mallory","reaction":"👍",`],
  ];

  test.each(fields)('%s refuses a %s that is not a valid seq or count', async (event, field, rest) => {
    const { mallory, expectUnharmed } = await startMallory();
    expect(await attack(mallory, [asked(event, `{${rest}"${field}":1}`)]), 'one is a number').not.toContain('invalid_payload');
    // After 0 means from the beginning.
    const places = field === 'after' || event === 'list:entries' ? numbers.filter((number) => number !== '0' && number !== '-0') : numbers;
    const hostile = field === 'limit' ? [...numbers, '501', '1e9'] : places;
    for (const number of hostile) expect(await attack(mallory, [asked(event, `{${rest}"${field}":${number}}`)]), number).toEqual(INVALID);
    await expectUnharmed();
  });

  test.each(['NaN', 'Infinity', '-Infinity', '+1', '0x10', '01', '1n', 'undefined', "'1'"])(
    '%s is not JSON: the sender is disconnected',
    async (number) => {
      const { mallory, expectUnharmed } = await startMallory();
      expect(await attack(mallory, [asked('list:rooms', `{"limit":${number}}`)])).toBe('closed');
      await expectUnharmed();
    },
  );

  test.each(storeKinds)('the largest valid seq is requested without a result, on the %s store', async (_, open) => {
    const { aya, expectUnharmed } = await startWithBystanders({ store: await open() });
    const largest = Number.MAX_SAFE_INTEGER;
    const page = (where: object) => requestOk(aya, 'list:chats', { roomId: ROOM, ...where });
    expect((await page({ before: largest })).chats).toHaveLength(2);
    expect((await page({ after: largest })).chats).toEqual([]);
    expect((await page({ around: largest })).chats).toHaveLength(2);
    for (const event of ['update:chat', 'delete:chat', 'add:reaction'] as const) {
      const answer = await sendAny(aya, event, { roomId: ROOM, username: 'aya', chatSeq: largest, message: 'x', reaction: '👍' });
      expect(answer).toMatchObject({ ok: false, error: { code: 'chat_not_found' } });
    }
    await expectUnharmed();
  });
});

describe('42: values that are not text', () => {
  const texts: Record<string, string> = {
    roomId: ROOM,
    username: 'mallory',
    clientId: 'c1',
    message: 'x',
    topic: 'x',
    reaction: '👍',
    after: 'a',
    epoch: 'e',
    presence: 'away',
    chats: [{ message: 'x' }] as unknown as string,
  };
  const hostile = ['{"$ne":null}', '{"$gt":""}', '{"$where":"1"}', '["room1","room2"]', '[]', '{}', 'true', 'null', '0', '1'];
  const withTexts = Object.entries(events).map(([event, { payload }]) => {
    const places = ['limit', 'id', 'retention', ...(event === 'list:chats' ? ['before', 'after', 'around'] : [])];
    const shape = event === 'resume:rooms' ? events[event].payload.shape.rooms.element.shape : payload.shape;
    const valid = Object.fromEntries(
      Object.keys(shape)
        .filter((name) => !places.includes(name))
        .map((name) => [name, texts[name] ?? 1]),
    );
    return [event, valid] as const;
  });

  /** The resumed rooms are in a list. */
  const ask = (event: string, payload: string) => asked(event, event === 'resume:rooms' ? `{"rooms":[${payload}]}` : payload);

  test.each(withTexts)('%s refuses it', async (event, valid) => {
    const { mallory, expectUnharmed } = await startMallory({ rateLimits: 'off' });
    const fields = Object.keys(valid).filter((name) => name in texts);
    expect(fields.length, 'there are texts').toBeGreaterThan(0);
    expect(await attack(mallory, [ask(event, JSON.stringify(valid))]), 'the rest is valid').not.toContain('invalid_payload');
    for (const field of fields) {
      const rest = JSON.stringify({ ...valid, [field]: undefined }).slice(1, -1);
      const frames = hostile.map((value) => ask(event, `{${[rest, `"${field}":${value}`].filter(Boolean).join()}}`));
      expect(await attack(mallory, frames), field).toEqual(hostile.map(() => 'invalid_payload'));
    }
    await expectUnharmed();
  });
});

describe('44: binary data in place of text', () => {
  const bytes: [string, Buffer | Uint8Array | ArrayBuffer][] = [
    ['a Buffer', Buffer.from('hello')],
    ['an empty Buffer', Buffer.alloc(0)],
    ['a Uint8Array', new Uint8Array([104, 105])],
    ['an ArrayBuffer', new ArrayBuffer(8)],
    ['60,000 bytes', Buffer.alloc(60_000)],
  ];

  test.each(bytes)('%s is not accepted as text, name, room or payload', async (_, data) => {
    const { url, expectUnharmed } = await startWithBystanders();
    const mallory = await connect(url, { extraHeaders: ATTACKER_HEADERS });
    const valid = { roomId: ROOM, username: 'mallory', message: 'x', clientId: 'c1' };
    for (const field of Object.keys(valid)) {
      expect(await sendAny(mallory, 'create:chat', { ...valid, [field]: data }), field).toMatchObject({
        ok: false,
        error: { code: 'invalid_payload' },
      });
    }
    expect(await sendAny(mallory, 'create:chat', data)).toMatchObject({ ok: false, error: { code: 'invalid_payload' } });
    expect(await sendAny(mallory, 'list:rooms', { limit: data })).toMatchObject({ ok: false, error: { code: 'invalid_payload' } });
    await expectUnharmed();
  });

  test.each([
    ['an array of 2^32-1', Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])],
    ['a map of 2^32-1', Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff])],
    ['bytes of 2^32-1', Buffer.from([0xc6, 0xff, 0xff, 0xff, 0xff])],
    ['an event', Buffer.from([0x83, 0xa4, 0x74, 0x79, 0x70, 0x65, 0x02, 0xa3, 0x6e, 0x73, 0x70, 0xa1, 0x2f])],
  ])('MessagePack is not supported: %s ends the connection of the sender', async (_, frame) => {
    const { mallory, expectUnharmed } = await startMallory();
    expect(await attack(mallory, [frame])).toBe('closed');
    await expectUnharmed();
  });
});

/** Texts of one hash, for hashes that add up their letters: two letters may be exchanged at each of `bits` places. */
function colliding(bits: number): string[] {
  return Array.from({ length: 2 ** bits }, (_, each) => each.toString(2).padStart(bits, '0').replaceAll('0', 'Ez').replaceAll('1', 'FY'));
}
