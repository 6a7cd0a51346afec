/** Members who are absent for longer than the grace period leave without a broadcast, unless another client requests the name. */
import type { Store } from '@engawa/server';
import { collectEvents, connect, requestError, requestOk, startServer, until, withOverrides } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { memberKey } from '#domain/room-keys.js';

const roomId = 'veranda';
const GRACE = 300;
const HOUR = 3_600_000;

const drop = (socket: Socket): void => void socket.io.engine.close();
const leaseOf = async (store: Store, username: string) =>
  (await store.read(roomId, { keys: [memberKey(username)] })).keys.get(memberKey(username))?.lease;
const entriesAfter = async (store: Store, seq: number) => {
  const { entries } = await store.readPage(roomId, { after: seq, limit: 500 });
  return entries.map(({ kind, by, body }) => [kind, by, ...(body?.reason === undefined ? [] : [body.reason])]);
};
const memberNamed = async (socket: Socket, name: string) =>
  (await requestOk(socket, 'list:members', { roomId })).members.find(({ username }) => username === name);

describe.each(storeKinds)('on the %s store', (_, open) => {
  /** Ben is absent from the room of Aya for longer than the grace period. */
  async function startNap({ absence: absenceMs = HOUR, name = 'ben', wrap = (store: Store) => store } = {}) {
    const { url, store } = await startServer({ store: wrap(await open()), graceMs: GRACE, absenceMs });
    const [aya, ben] = [await connect(url), await connect(url)];
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    const presences = collectEvents(aya, 'update:presence:success');
    const joined = collectEvents(aya, 'add:member:success');
    const { session, epoch, seq, lastId } = await requestOk(ben, 'add:member', { roomId, username: name });
    await until(() => joined.length === 1, 'the entry is broadcast');
    const comings = [collectEvents(aya, 'add:member:success'), collectEvents(aya, 'remove:member:success')];
    drop(ben);
    await until(() => presences.at(-1)?.presence === 'offline', 'it is seen that they are gone');
    await until(async () => (await leaseOf(store, name)) === 'expired', 'the grace is over');
    return { url, store, aya, session, presences, comings, held: { roomId, username: name, epoch, seq, id: lastId } };
  }

  test('a member who drops and comes back is offline in between, and neither leaves nor joins', async () => {
    const { url, store, aya, session, presences, comings, held } = await startNap();
    expect(await memberNamed(aya, 'ben')).toMatchObject({ presence: 'offline' });
    await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'sleep well' });
    const back = await connect(url, { auth: { session } });
    const { rooms } = await requestOk(back, 'resume:rooms', { rooms: [held] });
    expect(rooms).toMatchObject([{ outcome: 'caught_up', entries: [{ kind: 'create:chat' }] }]);
    await until(() => presences.at(-1)?.presence === 'online', 'it is seen that they are back');
    expect(await memberNamed(aya, 'ben')).toMatchObject({ presence: 'online', since: held.seq });
    await requestOk(back, 'add:member', { roomId, username: 'ben' });
    expect(await entriesAfter(store, held.seq)).toEqual([['create:chat', 'aya']]);
    expect(comings).toEqual([[], []]);
    // The former absence has no later effect.
    await new Promise((resolve) => setTimeout(resolve, 2 * GRACE));
    expect(await leaseOf(store, 'ben')).toBe('held');
    await requestOk(back, 'create:chat', { roomId, username: 'ben', message: 'still me' });
  });

  test.each(['ben', 'BEN', 'bеn'])('an absent member leaves at the moment at which another client joins as %s', async (username) => {
    const { url, store, aya, session, comings, held } = await startNap();
    const other = await connect(url);
    await requestOk(other, 'add:member', { roomId, username });
    const entries = [
      ['remove:member', 'ben', 'timed_out'],
      ['add:member', username],
    ];
    expect(await entriesAfter(store, held.seq)).toEqual(entries);
    await until(() => comings.every(({ length }) => length === 1), 'the room receives both');
    expect(await leaseOf(store, username)).toBe('held');
    expect((await requestOk(aya, 'list:members', { roomId })).members.map((member) => member.username)).toEqual(['aya', username]);
    const back = await connect(url, { auth: { session } });
    const { rooms } = await requestOk(back, 'resume:rooms', { rooms: [held] });
    expect(rooms).toMatchObject([{ outcome: 'refused', error: { code: username === 'bеn' ? 'name_confusable' : 'name_taken' } }]);
    await requestOk(other, 'remove:member', { roomId, username });
    await requestOk(back, 'add:member', { roomId, username: 'ben' });
    expect((await requestError(other, 'add:member', { roomId, username })).code).toBe(
      username === 'bеn' ? 'name_confusable' : 'name_taken',
    );
  });

  test('a member who resumes while another client requests the name keeps it', async () => {
    let comesBack: (() => Promise<unknown>) | undefined;
    const wrap = (inner: Store): Store =>
      withOverrides(inner, {
        append: async (...asked) => {
          const back = comesBack;
          comesBack = undefined;
          await back?.();
          return inner.append(...asked);
        },
      });
    const { url, store, session, held } = await startNap({ wrap });
    const [back, other] = [await connect(url, { auth: { session } }), await connect(url)];
    comesBack = () => requestOk(back, 'resume:rooms', { rooms: [held] });
    expect((await requestError(other, 'add:member', { roomId, username: 'ben' })).code).toBe('name_taken');
    expect(await entriesAfter(store, held.seq)).toEqual([]);
    await requestOk(back, 'create:chat', { roomId, username: 'ben', message: 'mine' });
  });

  test('a member who is away for too long leaves', async () => {
    const { store, comings, held } = await startNap({ absence: 1_000 });
    await until(() => comings[1]?.length === 1, 'the room receives it');
    expect(await entriesAfter(store, held.seq)).toEqual([['remove:member', 'ben', 'timed_out']]);
  });

  test('a member leaves whom another node marked absent while this node still considered them present', async () => {
    const seen: { room: string; key: string }[] = [];
    let looks = 0;
    const wrap = (inner: Store): Store =>
      withOverrides(inner, {
        listExpiredLeases: async (limit) => {
          looks += 1;
          return [...(await inner.listExpiredLeases(limit)), ...seen];
        },
      });
    const { store, held } = await startNap({ wrap });
    seen.push({ room: roomId, key: memberKey('ben') });
    const before = looks;
    await until(() => looks > before + 3, 'it looked again');
    expect(await entriesAfter(store, held.seq)).toEqual([]);
    expect(await leaseOf(store, 'ben')).toBe('expired');
  });

  test('the owner may remove an absent member', async () => {
    const { url, aya, session, held } = await startNap();
    await requestOk(aya, 'remove:member', { roomId, username: 'ben' });
    const back = await connect(url, { auth: { session } });
    const { rooms } = await requestOk(back, 'resume:rooms', { rooms: [held] });
    expect(rooms).toMatchObject([{ outcome: 'refused', error: { code: 'removed' } }]);
  });

  test('members of a killed node do not leave, and are shown as offline', async () => {
    const { url, store } = await startServer({ store: await open(), graceMs: GRACE, absenceMs: HOUR });
    const aya = await connect(url);
    const { epoch, seq } = await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    const presences = collectEvents(aya, 'update:presence:success');
    const ghost = { username: 'ghost', author: 'nobody' };
    const joins = { id: 'e1', by: 'ghost', author: 'nobody', kind: 'add:member', body: { username: 'ghost' } };
    const key = memberKey('ghost');
    await store.append(roomId, {
      epoch,
      expectedVersions: [],
      drafts: [{ ...joins, keyUpdates: [[key, ghost]], lease: { key, node: 'killed' } }],
    });
    await until(() => presences.some(({ username, presence }) => username === 'ghost' && presence === 'offline'), 'it is seen');
    expect(await memberNamed(aya, 'ghost')).toMatchObject({ presence: 'offline' });
    await new Promise((resolve) => setTimeout(resolve, 2 * GRACE));
    expect(presences.filter(({ username }) => username === 'ghost')).toHaveLength(1);
    expect(await entriesAfter(store, seq)).toEqual([['add:member', 'ghost']]);
    await requestOk(await connect(url), 'add:member', { roomId, username: 'ghost' });
  });

  test('absent members leave after the grace period where they would make the room large', async () => {
    const { url, store } = await startServer({ store: await open(), graceMs: GRACE, absenceMs: HOUR, largeRoomThreshold: 8 });
    const aya = await connect(url);
    const { seq } = await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    for (const username of ['ben', 'cho', 'dai', 'eve']) {
      const guest = await connect(url);
      await requestOk(guest, 'add:member', { roomId, username });
      drop(guest);
      if (username === 'cho') await until(async () => (await leaseOf(store, 'cho')) === 'expired', 'she is absent');
    }
    const leaves = async () => (await entriesAfter(store, seq)).filter(([kind]) => kind === 'remove:member').length;
    await until(async () => (await leaves()) > 0, 'a member leaves');
    await new Promise((resolve) => setTimeout(resolve, 3 * GRACE));
    const { members, count } = await requestOk(aya, 'list:members', { roomId });
    expect(count).toBe(members.length);
    expect(count).toBeLessThanOrEqual(4);
    expect(await leaseOf(store, 'ben')).toBe('expired');
  });
});
