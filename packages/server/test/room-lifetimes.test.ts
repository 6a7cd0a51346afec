/** Unused rooms end, used rooms do not: when, at what cost, and with a join at the same moment. */
import { randomUUID } from 'node:crypto';
import { openMemory, type Store } from '@engawa/server';
import { connect, nextEvent, requestOk, sendRequest, startServer, until, withOverrides } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { RetentionJob } from '#background/retention-job.js';
import type { RoomLifetimes } from '#domain/room-expiry.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const namesOf = async (store: Store): Promise<string[]> => (await store.listRooms({ limit: 10_000 })).rooms.map(({ room }) => room);

describe('with a manual clock', () => {
  const keepers: RetentionJob[] = [];
  beforeEach(
    () => void vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ['setTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] }),
  );
  afterEach(async () => {
    const closing = Promise.all(keepers.splice(0).map((keeper) => keeper.close()));
    await pass(HOUR);
    await closing;
    vi.useRealTimers();
  });
  const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

  function keep(store: Store, lifetimes: RoomLifetimes, bounds = {}): unknown[] {
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    keepers.push(new RetentionJob({ store, bounds, lifetimes, intervalMs: MINUTE, readLocalRooms: async () => [], onError }));
    return errors;
  }

  async function add(store: Store, room: string, { chats = 0, member }: { chats?: number; member?: boolean } = {}): Promise<void> {
    const { epoch } = await store.read(room, {});
    const draft = (kind: string, more: object = {}) => ({ id: randomUUID(), by: 'aya', author: 'aya', kind, body: {}, ...more });
    const drafts = [
      draft(
        epoch === null ? 'create:room' : 'add:member',
        member === undefined ? {} : { keyUpdates: [['member/aya', member ? { username: 'aya' } : null]] },
      ),
      ...Array.from({ length: chats }, () => draft('create:chat', { listed: true })),
    ];
    expect((await store.append(room, { epoch, expectedVersions: [], drafts })).outcome).toBe('appended');
  }

  test('an unused room without chats ends after its idle time; one with chats or a member stays', async () => {
    const store = openMemory();
    const errors = keep(store, { emptyMs: DAY, unvisitedMs: null });
    await add(store, 'empty');
    await add(store, 'with chats', { chats: 1 });
    await add(store, 'with a member', { member: true });
    await add(store, 'visited');
    await pass(DAY - 1);
    expect(await namesOf(store)).toHaveLength(4);
    await add(store, 'visited', { member: true });
    await add(store, 'visited', { member: false });
    await pass(90 * MINUTE);
    expect(await namesOf(store)).toEqual(['visited', 'with a member', 'with chats']);
    await pass(DAY - 90 * MINUTE);
    expect(await namesOf(store)).toContain('visited');
    await pass(90 * MINUTE);
    expect(await namesOf(store)).toEqual(['with a member', 'with chats']);
    await add(store, 'with a member', { member: false });
    await pass(DAY + 90 * MINUTE);
    expect(await namesOf(store)).toEqual(['with chats']);
    await pass(400 * DAY);
    expect(await namesOf(store)).toEqual(['with chats']);
    expect(errors).toEqual([]);
  });

  test('a room whose chats were trimmed or deleted does not count as a room without chats', async () => {
    const store = openMemory();
    keep(store, { emptyMs: DAY, unvisitedMs: null }, { maxAge: HOUR });
    await add(store, 'trimmed', { chats: 3 });
    await add(store, 'deleted', { chats: 1 });
    await pass(3 * DAY);
    expect((await store.readPage('trimmed', { limit: 1 })).oldest).toBe(5);
    expect(await namesOf(store)).toEqual(['deleted', 'trimmed']);
  });

  test('with the setting of the operator every room ends that was unused for its time', async () => {
    const store = openMemory();
    keep(store, { emptyMs: null, unvisitedMs: 30 * DAY });
    await add(store, 'with chats', { chats: 5 });
    await add(store, 'empty');
    await add(store, 'with a member', { chats: 1, member: true });
    await pass(30 * DAY - 1);
    expect(await namesOf(store)).toHaveLength(3);
    await pass(90 * MINUTE);
    expect(await namesOf(store)).toEqual(['with a member']);
  });

  test('no room ends where both limits are lifted', async () => {
    const store = openMemory();
    keep(store, { emptyMs: null, unvisitedMs: null });
    await add(store, 'empty');
    await pass(400 * DAY);
    expect(await namesOf(store)).toEqual(['empty']);
  });

  test('remaining rooms cost a list every hour or so, and a check of each every day', async () => {
    const memory = openMemory();
    for (let index = 0; index < 90; index += 1) await add(memory, `room ${index}`, { chats: 1 });
    const asked: string[] = [];
    const note = (name: 'read' | 'readPage' | 'listRooms' | 'append') => (one: never, two: never) => {
      asked.push(name);
      return memory[name](one, two);
    };
    const store = withOverrides(memory, {
      read: note('read'),
      readPage: note('readPage'),
      listRooms: note('listRooms'),
      append: note('append'),
    } as Partial<Store>);
    keep(store, { emptyMs: DAY, unvisitedMs: null });
    await pass(3 * HOUR);
    expect(asked.filter((name) => name === 'readPage')).toHaveLength(90);
    asked.length = 0;
    await pass(DAY);
    expect(asked.filter((name) => name === 'listRooms').length).toBeLessThanOrEqual(33);
    expect(asked.filter((name) => name === 'readPage').length).toBeLessThanOrEqual(200);
    expect(asked.filter((name) => name === 'read' || name === 'append')).toEqual([]);
  });
});

describe.each(storeKinds)('on real sockets, on the %s store', (_, open) => {
  /** All times of rooms are short here. */
  const options = { graceMs: 200, trimIntervalMs: 20, rateLimits: 'off' as const };

  test('a room that its members left without a chat ends, its id and the quota of its owner are free again, and other rooms stay', async () => {
    const store = await open();
    const { url } = await startServer({ store, ...options, emptyRooms: 300, quotaRoomsPerSession: 3 });
    const [aya, ben] = [await connect(url), await connect(url)];
    for (const roomId of ['empty', 'talked in', 'lived in']) await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(aya, 'create:chat', { roomId: 'talked in', username: 'aya', message: 'kept' });
    await requestOk(ben, 'add:member', { roomId: 'lived in', username: 'ben' });
    for (const roomId of ['empty', 'talked in', 'lived in']) await requestOk(aya, 'remove:member', { roomId, username: 'aya' });
    expect((await sendRequest(aya, 'create:room', { roomId: 'fourth', username: 'aya' })).ok).toBe(false);
    await until(async () => !(await namesOf(store)).includes('empty'), 'the room has ended', 20_000);
    expect(await namesOf(store)).toEqual(['lived in', 'talked in']);
    await requestOk(aya, 'create:room', { roomId: 'empty', username: 'aya' });
    await requestOk(ben, 'add:member', { roomId: 'talked in', username: 'ben' });
    expect((await requestOk(ben, 'list:chats', { roomId: 'talked in' })).chats).toMatchObject([{ message: 'kept' }]);
  });

  test('a client that joins at the moment of expiry is in a room that continues, or is refused', async () => {
    const store = await open();
    let joins: (() => Promise<void>) | undefined;
    const slow = withOverrides(store, {
      async append(room, append) {
        if (append.expectedHead !== undefined) await joins?.();
        return store.append(room, append);
      },
    });
    const { url } = await startServer({ store: slow, ...options, emptyRooms: 300 });
    const [aya, ben] = [await connect(url), await connect(url)];
    await requestOk(aya, 'create:room', { roomId: 'den', username: 'aya' });
    const joined = new Promise<void>((resolve) => {
      joins = async () => {
        joins = undefined;
        await requestOk(ben, 'add:member', { roomId: 'den', username: 'ben' });
        resolve();
      };
    });
    await requestOk(aya, 'remove:member', { roomId: 'den', username: 'aya' });
    await joined;
    onTestFinished(() => void ben.disconnect());
    const receives = nextEvent(ben, 'create:chat:success');
    await requestOk(ben, 'create:chat', { roomId: 'den', username: 'ben', message: 'still here' });
    expect((await receives).message).toBe('still here');
    expect(await namesOf(store)).toEqual(['den']);
  });
});
