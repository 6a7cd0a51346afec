/** Servers that trim: what owners and operators may set, and what absent and returning clients receive. */
import type { Store } from '@engawa/server';
import {
  collectEvents,
  connect,
  nextEvent,
  requestError,
  requestOk,
  startServer,
  until,
  withOverrides,
} from '@engawa/testkit/processes/server';
import { newDurableStore } from '@engawa/testkit/stores';
import { pino } from 'pino';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';

const roomId = 'veranda';
const EVERY = 40;

const start = (options: Parameters<typeof startServer>[0] = {}) => startServer({ rateLimits: 'off', trimIntervalMs: EVERY, ...options });

async function open(url: string, options?: Parameters<typeof connect>[1]): Promise<Socket> {
  const aya = await connect(url, options);
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  return aya;
}

async function say(socket: Socket, count: number, username = 'aya'): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, index) => requestOk(socket, 'create:chat', { roomId, username, message: `${index}` })),
  );
}

const oldestOf = async (store: Store): Promise<number> => (await store.readPage(roomId, { limit: 1 })).oldest;
const sizeOf = async (store: Store): Promise<number> => {
  const { head, oldest } = await store.readPage(roomId, { limit: 1 });
  return head + 1 - oldest;
};

describe('update:room with a retention', () => {
  test('is broadcast to the room and in join replies, and leaves the topic alone, as a topic leaves it', async () => {
    const { url } = await start({ retentionMaxBytes: 1_000_000 });
    const aya = await open(url);
    const ben = await connect(url);
    expect(await requestOk(ben, 'add:member', { roomId, username: 'ben' })).toMatchObject({
      retention: {},
      limits: { retention: { maxBytes: 1_000_000 } },
    });
    const received = collectEvents(ben, 'update:room:success');
    const retention = { maxAge: 86_400_000, maxCount: 1_000 };
    await requestOk(aya, 'update:room', { roomId, username: 'aya', topic: 'tea' });
    await requestOk(aya, 'update:room', { roomId, username: 'aya', retention });
    await requestOk(aya, 'update:room', { roomId, username: 'aya', topic: 'coffee' });
    await until(() => received.length === 3, 'the client has received everything');
    expect(received.map((each) => [each.topic, each.retention])).toEqual([
      ['tea', undefined],
      [undefined, retention],
      ['coffee', undefined],
    ]);
    expect(await requestOk(await connect(url), 'add:member', { roomId, username: 'cho' })).toMatchObject({ topic: 'coffee', retention });
    await requestOk(aya, 'update:room', { roomId, username: 'aya', retention: {}, topic: 'none' });
    expect(await requestOk(await connect(url), 'add:member', { roomId, username: 'dan' })).toMatchObject({ topic: 'none', retention: {} });
  });

  test('is limited to the owner, and to valid values', async () => {
    const { url } = await start();
    const aya = await open(url);
    const ben = await connect(url);
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    const retention = { maxCount: 1 };
    expect(await requestError(ben, 'update:room', { roomId, username: 'ben', retention })).toMatchObject({ code: 'not_allowed' });
    for (const nonsense of [
      {},
      { retention: null },
      { retention: 5 },
      { retention: { maxCount: 0 } },
      { retention: { maxCount: 1.5 } },
      { retention: { maxCount: '10' } },
      { retention: { maxAge: 59_999 } },
      { retention: { maxAge: Number.MAX_SAFE_INTEGER + 1 } },
      { retention: { maxBytes: -1 } },
      { retention: { maxBytes: null } },
    ])
      expect(
        await requestError(aya, 'update:room', { roomId, username: 'aya', ...nonsense } as never),
        JSON.stringify(nonsense),
      ).toMatchObject({
        code: 'invalid_payload',
      });
    await say(aya, 5);
    expect((await requestOk(aya, 'list:chats', { roomId })).chats).toHaveLength(5);
  });
});

test('an owner trims their own room, and no other client does', async () => {
  const { url, store } = await start({ store: await newDurableStore() });
  const aya = await open(url);
  await requestOk(aya, 'create:room', { roomId: 'other', username: 'aya' });
  await requestOk(aya, 'create:chat', { roomId: 'other', username: 'aya', message: 'stays' });
  await say(aya, 50);
  const chatSeq = 12;
  await requestOk(aya, 'update:chat', { roomId, username: 'aya', chatSeq, message: 'edited' });
  await requestOk(aya, 'add:reaction', { roomId, username: 'aya', chatSeq, reaction: '👍' });
  await requestOk(aya, 'add:reaction', { roomId, username: 'aya', chatSeq: 50, reaction: '👍' });
  const keysOf = async () => (await store.read(roomId, { counts: ['', 'entry', 'entry/12/reaction', 'entry/50/reaction'] })).counts;
  expect(await keysOf()).toEqual(
    new Map([
      [
        '',
        new Map([
          ['member', 1],
          ['reader', 1],
          ['skeleton', 1],
        ]),
      ],
      ['entry', new Map([['12', 1]])],
      ['entry/12/reaction', new Map([['👍', 1]])],
      ['entry/50/reaction', new Map([['👍', 1]])],
    ]),
  );
  await requestOk(aya, 'update:room', { roomId, username: 'aya', retention: { maxCount: 20 } });
  await until(async () => (await sizeOf(store)) === 20, 'it is trimmed');

  const { chats, hasMore } = await requestOk(aya, 'list:chats', { roomId, limit: 100 });
  expect(chats.map(({ message }) => message)).toEqual(Array.from({ length: 16 }, (_, index) => `${34 + index}`));
  expect(hasMore).toEqual({ before: false, after: false });
  expect(chats.find(({ seq }) => seq === 50)?.reactions).toEqual([{ reaction: '👍', count: 1, mine: true }]);
  expect(await keysOf()).toEqual(
    new Map([
      [
        '',
        new Map([
          ['member', 1],
          ['reader', 1],
          ['skeleton', 1],
        ]),
      ],
      ['entry', new Map()],
      ['entry/12/reaction', new Map()],
      ['entry/50/reaction', new Map([['👍', 1]])],
    ]),
  );
  for (const [event, fields] of [
    ['update:chat', { message: 'again' }],
    ['delete:chat', {}],
    ['add:reaction', { reaction: '👍' }],
  ] as const)
    expect(await requestError(aya, event, { roomId, username: 'aya', chatSeq, ...fields })).toMatchObject({ code: 'chat_not_found' });
  expect((await requestOk(aya, 'list:chats', { roomId: 'other' })).chats).toHaveLength(1);
  expect((await requestOk(aya, 'list:members', { roomId })).members).toMatchObject([{ username: 'aya', role: 'owner', since: 2 }]);
});

test('the limits of the operator hold for every room, and an owner may only set stricter ones', async () => {
  const { url, store } = await start({ store: await newDurableStore(), retentionMaxCount: 30 });
  const aya = await open(url);
  await requestOk(aya, 'update:room', { roomId, username: 'aya', retention: { maxCount: 1_000, maxBytes: 1_000_000 } });
  await say(aya, 100);
  await until(async () => (await sizeOf(store)) === 30, 'the operator is followed');
  await requestOk(aya, 'update:room', { roomId, username: 'aya', retention: { maxCount: 10 } });
  await until(async () => (await sizeOf(store)) === 10, 'the owner is followed');
  await requestOk(aya, 'update:room', { roomId, username: 'aya', retention: {} });
  await say(aya, 100);
  await until(async () => (await sizeOf(store)) === 30, 'the operator is followed again');
});

test('old entries are removed, and a room with only old entries continues', async () => {
  let now = 1_700_000_000_000;
  const { url, store } = await start({ store: await newDurableStore({ clock: () => now }), retentionMaxAge: 60_000 });
  const aya = await open(url);
  await say(aya, 5);
  now += 50_000;
  await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'younger' });
  now += 10_001;
  await requestOk(aya, 'add:reaction', { roomId, username: 'aya', chatSeq: 8, reaction: '👍' });
  await until(async () => (await sizeOf(store)) === 2, 'the older ones are gone');
  expect((await requestOk(aya, 'list:chats', { roomId })).chats.map(({ message }) => message)).toEqual(['younger']);
  now += 61_000;
  const ben = await connect(url);
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  await until(async () => (await sizeOf(store)) === 1, 'all entries but the last are trimmed');
  const received = nextEvent(ben, 'create:chat:success');
  const { seq } = await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'on' });
  expect(await received).toMatchObject({ seq, message: 'on' });
});

describe('an absent member', () => {
  test('from before the start of the log is notified of the gap; one with its end, or the entry before it, is not', async () => {
    const { url, store } = await start({ store: await newDurableStore(), retentionMaxCount: 10 });
    const aya = await open(url);
    const { epoch } = await store.read(roomId, {});
    await say(aya, 50);
    await until(async () => (await sizeOf(store)) === 10, 'it is trimmed');
    const { oldest, head } = await store.readPage(roomId, { limit: 1 });
    const resume = async (seq: number) =>
      (await requestOk(aya, 'resume:rooms', { rooms: [{ roomId, username: 'aya', epoch: String(epoch), seq }] })).rooms[0];
    const old = await resume(oldest - 2);
    expect(old).toMatchObject({ outcome: 'too_old', oldest, seq: head });
    expect(old && 'page' in old && old.page.chats).toHaveLength(10);
    for (const seq of [oldest - 1, oldest, head]) {
      const answer = await resume(seq);
      expect(answer).toMatchObject({ outcome: 'caught_up', seq: head });
      expect(answer && 'entries' in answer && answer.entries.map((entry) => entry.seq)).toEqual(
        Array.from({ length: head - seq }, (_, index) => seq + 1 + index),
      );
    }
  });

  test('that resumes page by page while the log is trimmed misses nothing, or is notified of the gap', async () => {
    const { url, store } = await start({ store: await newDurableStore(), retentionMaxCount: 60 });
    const aya = await open(url);
    const ben = await connect(url);
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    const epoch = String((await store.read(roomId, {})).epoch);
    const talking = new AbortController();
    const talk = (async () => {
      while (!talking.signal.aborted) await say(aya, 20);
    })();
    const outcomes = { caught_up: 0, more: 0, too_old: 0 };
    let place: { seq: number; id: string | null } = { seq: 0, id: null };
    for (let round = 0; round < 300 || outcomes.too_old < 3; round += 1) {
      // Sometimes so slow that the log is trimmed meanwhile, otherwise fast.
      if (round % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 60));
      const [answer] = (await requestOk(ben, 'resume:rooms', { rooms: [{ roomId, username: 'ben', epoch, ...place }], limit: 7 })).rooms;
      if (!answer || answer.outcome === 'refused' || answer.outcome === 'reset') throw new Error(JSON.stringify(answer));
      outcomes[answer.outcome] += 1;
      if ('entries' in answer) {
        expect(answer.entries.map(({ seq }) => seq)).toEqual(answer.entries.map((_, index) => place.seq + 1 + index));
        for (const [index, { prev }] of answer.entries.entries()) {
          const before = index === 0 ? place.id : answer.entries[index - 1]?.id;
          if (place.seq > 0) expect(prev).toBe(before);
        }
      } else {
        expect(answer.oldest).toBeGreaterThan(place.seq + 1);
      }
      place = { seq: answer.seq, id: answer.id };
    }
    talking.abort();
    await talk;
    expect(outcomes.more + outcomes.caught_up).toBeGreaterThan(100);
  });
});

describe('a plain Socket.IO client', () => {
  const drop = async (socket: Socket): Promise<void> => {
    const gone = new Promise((resolve) => socket.once('disconnect', resolve));
    socket.io.engine.close();
    await gone;
  };
  const reconnect = async (socket: Socket): Promise<boolean> => {
    const back = new Promise<void>((resolve) => socket.once('connect', resolve));
    socket.connect();
    await back;
    return socket.recovered;
  };

  test('is recovered in an empty room, if it missed nothing there', async () => {
    let now = 1_700_000_000_000;
    const { url, store } = await start({ store: await newDurableStore({ clock: () => now }) });
    const aya = await open(url);
    const ben = await connect(url);
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    const received = collectEvents(ben, 'create:chat:success');
    await say(aya, 3);
    await until(() => received.length === 3, 'the client has received everything');
    await drop(ben);
    const { epoch, head } = await store.readPage(roomId, { limit: 1 });
    await store.trim(roomId, { epoch: String(epoch), below: head + 1 });
    now += 5_000;
    expect(await sizeOf(store)).toBe(0);
    expect(await reconnect(ben)).toBe(true);
    await say(aya, 1);
    await until(() => received.length === 4, 'the client receives the next');

    await drop(ben);
    await say(aya, 2);
    await store.trim(roomId, { epoch: String(epoch), below: 1_000 });
    expect(await reconnect(ben), 'the missed entries are no longer there').toBe(false);
  });

  test.each([
    ['during the search for the position', 'read', 100],
    ['during the replay', 'page', 900],
  ] as const)('is not recovered past a gap when the log is trimmed %s', async (_, operation, below) => {
    const inner = await newDurableStore();
    let trimAfter = Infinity;
    const trimming = async <Answer>(answer: Promise<Answer>, isMeant: boolean): Promise<Answer> => {
      const answered = await answer;
      if (isMeant) trimAfter -= 1;
      if (!isMeant || trimAfter !== 0) return answered;
      const { epoch } = await inner.read(roomId, {});
      await inner.trim(roomId, { epoch: String(epoch), below });
      return answered;
    };
    const store = withOverrides(inner, {
      read: (room, ask) => trimming(inner.read(room, ask), operation === 'read' && (ask.seqs?.length ?? 0) > 0),
      readPage: (room, ask) => trimming(inner.readPage(room, ask), operation === 'page' && ask.limit === 200),
    });
    const { url } = await start({ store, log: pino({ level: 'silent' }), trimIntervalMs: 600_000 });
    const aya = await open(url);
    const ben = await connect(url);
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    const received = collectEvents(ben, 'create:chat:success');
    await say(aya, 3);
    await until(() => received.length === 3, 'the client received the first');
    // The last received entry is of a room that does not change.
    await requestOk(ben, 'create:room', { roomId: 'other', username: 'ben' });
    await drop(ben);
    await say(aya, 1_000);
    trimAfter = 2;
    const ended = new Promise((resolve) => ben.once('disconnect', resolve));
    const isRecovered = await reconnect(ben);
    await until(() => trimAfter <= 0, 'it was trimmed');
    // Either at once or as soon as the gap is detected: the client never receives entries with a gap.
    if (isRecovered) await ended;
    // In several rooms on Redis one entry may be repeated.
    const seqs = [...new Set(received.map(({ seq }) => Number(seq)))];
    expect(seqs).toEqual(seqs.map((_, index) => 4 + index));
    expect(seqs.length).toBeLessThan(1_003);
    expect(await oldestOf(inner)).toBe(below);
  });
});
