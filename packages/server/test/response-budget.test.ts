/** An answer has a megabyte at most, and a client that requests the rest receives all of it. */
import { LIMITS, type ResumeResult } from '@engawa/protocol';
import type { Draft, Entry, Store } from '@engawa/server';
import { connect, requestOk, sendAny, sendRequest, startServer, withOverrides } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import { describe, expect, test } from 'vitest';
import { MAX_RESPONSE_BYTES } from '#domain/response-budget.js';
import { chatKey } from '#domain/room-keys.js';

/** A text of maximal length. */
const LONG = '部'.repeat(LIMITS.textCodePoints);
const bytesOf = (answer: unknown): number => Buffer.byteLength(JSON.stringify(answer));
/** The size of a value as JSON. */
const frameOf = (answer: unknown): number => bytesOf([answer]) + '43999999'.length;
/** The message limit of Python's `websockets`. */
const FRAME_BYTES = 2 ** 20;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

type Held = { roomId: string; username: string; epoch: string; seq: number; id?: string | null };

/** Stores this number of chats, in appends of maximal size. */
async function fill(store: Store, roomId: string, count: number, chat: (index: number) => Partial<Draft> = () => ({})): Promise<void> {
  const { epoch } = await store.read(roomId, {});
  const drafts = upTo(count).map((index) => {
    const said = { id: `${roomId} ${index}`, by: 'aya', author: 'aya', kind: 'create:chat', body: { message: LONG }, listed: true };
    return { ...said, ...chat(index) };
  });
  for (let at = 0; at < drafts.length; at += 20) {
    await store.append(roomId, { epoch, expectedVersions: [], drafts: drafts.slice(at, at + 20) });
    // Connections in the room read it meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** All of its chats were replaced by long texts, which are in keys: the bodies in the log are erased. */
async function replaceAll(store: Store, roomId: string): Promise<void> {
  const seqs = await seqsOf(store, roomId);
  await fill(store, roomId, seqs.length, (index) => ({
    id: `${roomId} edit ${index}`,
    kind: 'update:chat',
    body: { chatSeq: seqs[index] as number, message: LONG },
    listed: false,
    keyUpdates: [[chatKey(seqs[index] as number), { message: LONG }]],
    eraseSeqs: [seqs[index] as number],
  }));
}

const seqsOf = async (store: Store, roomId: string): Promise<number[]> => {
  const found: Entry[] = [];
  for (let hasMore = true; hasMore; ) {
    const page = await store.readPage(roomId, { after: found.at(-1)?.seq ?? 0, limit: 500, listed: true });
    found.push(...page.entries);
    hasMore = page.hasMore;
  }
  return found.map(({ seq }) => seq);
};

async function setUp(open: () => Promise<Store>, rooms: string[]) {
  const { url, store } = await startServer({ store: await open(), rateLimits: 'off' });
  const aya = await connect(url);
  const held: Held[] = [];
  for (const roomId of rooms) {
    const { epoch, seq, id = null } = await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    held.push({ roomId, username: 'aya', epoch, seq, id });
  }
  return { aya, store, held };
}

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('rooms that do not fit into an answer are deferred, and sent when they are requested again', async () => {
    const { aya, store, held } = await setUp(open, upTo(12).map(String));
    for (const { roomId } of held) await fill(store, roomId, 60);
    const received = new Map<string, ResumeResult>();
    let asked = 0;
    for (let due = held.map((each) => ({ ...each, epoch: 'another' })); due.length > 0; asked += 1) {
      const answer = await requestOk(aya, 'resume:rooms', { rooms: due });
      expect(frameOf(answer)).toBeLessThanOrEqual(FRAME_BYTES);
      const answered = answer.rooms.filter((room) => room.outcome === 'reset');
      for (const room of answered) received.set(room.roomId, room);
      const putOff = answer.rooms.filter((room) => room.outcome !== 'reset');
      expect(putOff).toEqual(
        due
          .filter(({ roomId }) => !received.has(roomId))
          .map(({ roomId, seq, id }) => ({
            ...{ outcome: 'more', roomId, epoch: 'another', seq, id, entries: [] },
          })),
      );
      expect(answered[0]?.roomId, 'the first makes progress').toBe(due[0]?.roomId);
      due = due.filter(({ roomId }) => !received.has(roomId));
    }
    expect(received.size).toBe(12);
    expect(asked).toBeGreaterThan(1);
  });

  test('missed entries arrive in answers of bounded size, once and in order, also where texts were replaced', async () => {
    const { aya, store, held } = await setUp(open, ['plain', 'replaced']);
    for (const { roomId } of held) await fill(store, roomId, 150);
    await replaceAll(store, 'replaced');
    const seqs: Record<string, number[]> = { plain: [], replaced: [] };
    for (let due = held; due.length > 0; ) {
      const answer = await requestOk(aya, 'resume:rooms', { rooms: due, limit: LIMITS.pageMax });
      expect(frameOf(answer)).toBeLessThanOrEqual(FRAME_BYTES);
      due = answer.rooms.flatMap((room): Held[] => {
        if (!('entries' in room)) throw new Error(`it is ${room.outcome}`);
        for (const entry of room.entries) {
          seqs[room.roomId]?.push(entry.seq);
          if (entry.kind === 'create:chat') expect(entry.message).toBe(LONG);
        }
        const { roomId, epoch, seq, id } = room;
        return room.outcome === 'more' ? [{ roomId, username: 'aya', epoch, seq, id }] : [];
      });
    }
    expect(seqs.plain).toEqual(upTo(150).map((index) => index + 3));
    expect(seqs.replaced).toEqual(upTo(300).map((index) => index + 3));
  });

  test.each([
    ['as they were said', false],
    ['that were all replaced', true],
  ])('pages of long chats %s are of bounded size, and together they have all chats', async (__, isReplaced) => {
    const { aya, store } = await setUp(open, ['den']);
    await fill(store, 'den', 130);
    if (isReplaced) await replaceAll(store, 'den');
    const all = await seqsOf(store, 'den');
    const page = async (at: { before?: number; after?: number; around?: number }) => {
      const answer = await requestOk(aya, 'list:chats', { roomId: 'den', limit: LIMITS.pageMax, ...at });
      expect(frameOf(answer)).toBeLessThanOrEqual(FRAME_BYTES);
      for (const { message } of answer.chats) expect(message).toBe(LONG);
      return { seqs: answer.chats.map(({ seq }) => seq), hasMore: answer.hasMore };
    };
    const down: number[] = [];
    for (let hasMore = true; hasMore; ) {
      const { seqs, hasMore: isMore } = await page(down[0] === undefined ? {} : { before: down[0] });
      down.unshift(...seqs);
      hasMore = isMore.before;
    }
    expect(down).toEqual(all);
    const up: number[] = [];
    for (let hasMore = true; hasMore; ) {
      const { seqs, hasMore: isMore } = await page({ after: up.at(-1) ?? 1 });
      up.push(...seqs);
      hasMore = isMore.after;
    }
    expect(up).toEqual(all);
    const middle = all[65] as number;
    const { seqs, hasMore } = await page({ around: middle });
    const first = all.indexOf(seqs[0] as number);
    expect(seqs).toEqual(all.slice(first, first + seqs.length));
    expect(seqs).toContain(middle);
    expect(seqs.at(-1)).toBeGreaterThan(middle);
    expect(hasMore).toEqual({ before: true, after: true });
  });

  test('a page whose chats would fill a megabyte leaves space for its other fields', async () => {
    const { aya, store } = await setUp(open, ['den']);
    const chat = { seq: 502, id: 'den 499', at: Date.now(), username: 'aya', message: '' };
    const message = 'x'.repeat(Math.floor(FRAME_BYTES / LIMITS.pageMax) - bytesOf(chat));
    await fill(store, 'den', LIMITS.pageMax, (index) => ({ id: `den ${String(index).padStart(3, '0')}`, body: { message } }));
    const answer = await requestOk(aya, 'list:chats', { roomId: 'den', limit: LIMITS.pageMax });
    expect(answer.chats.length).toBeGreaterThan(LIMITS.pageMax - 20);
    expect(frameOf(answer)).toBeLessThanOrEqual(FRAME_BYTES);
  });

  test('a request of 200 rooms reads no more than an answer may have', async () => {
    let read = 0;
    const inner = await open();
    const counting = withOverrides(inner, {
      async readPage(...asked) {
        const page = await inner.readPage(...asked);
        // Connections that are in the room cause reads of their own.
        if (asked[1].limit !== LIMITS.pageMax) read += page.entries.reduce((sum, { body }) => sum + bytesOf(body), 0);
        return page;
      },
    });
    const { aya, store, held } = await setUp(async () => counting, upTo(30).map(String));
    for (const { roomId } of held) await fill(store, roomId, 60);
    read = 0;
    await requestOk(aya, 'resume:rooms', { rooms: held.map((each) => ({ ...each, epoch: 'another' })), limit: LIMITS.pageMax });
    // Reads for the page before the reset, for the reset, and for the unread count.
    expect(read).toBeLessThan(3 * MAX_RESPONSE_BYTES);
  });

  test('unread counts are read for a few of many rooms, for any size of their chats', async () => {
    let read = 0;
    const inner = await open();
    const counting = withOverrides(inner, {
      async readPage(...asked) {
        const page = await inner.readPage(...asked);
        if (asked[1].limit !== LIMITS.pageMax) read += page.entries.reduce((sum, { body }) => sum + bytesOf(body), 0);
        return page;
      },
    });
    const { aya, store, held } = await setUp(async () => counting, upTo(20).map(String));
    for (const { roomId } of held) {
      await fill(store, roomId, 60);
      await fill(store, roomId, LIMITS.pageDefault, (index) => ({ id: `${roomId} short ${index}`, body: { message: 'x' } }));
    }
    read = 0;
    const { rooms } = await requestOk(aya, 'resume:rooms', { rooms: held.map((each) => ({ ...each, epoch: 'another' })), limit: 1 });
    expect(read).toBeLessThan(3 * MAX_RESPONSE_BYTES);
    expect(new Set(rooms.map(({ outcome }) => outcome))).toEqual(new Set(['reset', 'more']));
  });

  test('a list of rooms with long topics is of bounded size, and its pages have all rooms', async () => {
    const { aya, store, held } = await setUp(open, ['a']);
    const names = upTo(700).map((index) => `room ${String(index).padStart(3, '0')} ${'"'.repeat(100)}`);
    const settings = { owner: 'x', topic: '😀'.repeat(LIMITS.topicCodePoints) };
    for (const roomId of names) {
      const draft = { id: roomId, by: 'x', author: 'x', kind: 'create:room', body: {} };
      await store.append(roomId, { epoch: null, expectedVersions: [], drafts: [{ ...draft, keyUpdates: [['settings', settings]] }] });
    }
    const met: string[] = [];
    for (let hasMore = true; hasMore; ) {
      const after = met.at(-1);
      const answer = await requestOk(aya, 'list:rooms', { limit: LIMITS.pageMax, ...(after !== undefined && { after }) });
      expect(frameOf(answer)).toBeLessThanOrEqual(FRAME_BYTES);
      met.push(...answer.rooms.map(({ roomId }) => roomId));
      hasMore = answer.hasMore;
    }
    expect(met).toEqual([...held.map(({ roomId }) => roomId), ...names]);
  });
});

test('a list of names of maximal length is of bounded size', () => {
  const member = { username: '"'.repeat(LIMITS.idBytes), role: 'member', since: 1e15, presence: 'online', read: 1e15 };
  expect(LIMITS.pageMax * bytesOf(member)).toBeLessThan(MAX_RESPONSE_BYTES);
});

test('a room that is requested twice is refused, in any spelling', async () => {
  const { url } = await startServer();
  const aya = await connect(url);
  const { epoch, seq } = await requestOk(aya, 'create:room', { roomId: 'é', username: 'aya' });
  const held = { username: 'aya', epoch, seq };
  const twice = {
    rooms: [
      { ...held, roomId: '\u00e9' },
      { ...held, roomId: 'e\u0301' },
    ],
  };
  expect(await sendAny(aya, 'resume:rooms', twice)).toMatchObject({ ok: false, error: { code: 'invalid_payload', retryable: false } });
  expect(await sendRequest(aya, 'resume:rooms', { rooms: [{ ...held, roomId: 'é' }] })).toMatchObject({ ok: true });
});
