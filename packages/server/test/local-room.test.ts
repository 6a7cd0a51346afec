/** A room on one node, with a store that is delayed at chosen points. */
import { LIMITS } from '@engawa/protocol';
import { openMemory, type RoomFacts, type Store } from '@engawa/server';
import { until } from '@engawa/testkit/wait-for';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Connection } from '#connections/connection.js';
import { ResponseMemory } from '#limits/response-memory.js';
import { LocalRoom } from '#rooms/local-room.js';
import { PageCache } from '#rooms/page-cache.js';
import { RoomRegistry } from '#rooms/room-registry.js';
import { newConnection } from './helpers/peers.ts';

const ROOM = 'veranda';

async function say(store: Store, id: string): Promise<void> {
  const { epoch } = await store.read(ROOM, {});
  await store.append(ROOM, { epoch, expectedVersions: [], drafts: [{ id, by: 'aya', author: 'α', kind: 'create:chat', body: {} }] });
}

/** A store whose log can be replaced by an older copy. */
function replaceable(first: Store): { store: Store; replace: (by: Store) => void } {
  let primary = first;
  const store = new Proxy(primary, {
    get: (_, name: keyof Store) => (primary[name] as (...asked: unknown[]) => unknown).bind(primary),
  });
  return { store, replace: (by) => (primary = by) };
}

async function openRoom(store: Store): Promise<LocalRoom> {
  const onError = (error: unknown) => expect(error).toBeUndefined() as undefined;
  const room = await LocalRoom.open({
    ...{ roomId: ROOM, store, pageCache: new PageCache(), node: 'node', largeRoomThreshold: LIMITS.largeRoom, onError },
    acquireLease: async () => undefined,
    onMemberDetached: () => undefined,
    onMaybeEmpty: () => undefined,
  });
  onTestFinished(() => room.close());
  return room;
}

async function becomeMember(store: Store, name: string): Promise<void> {
  const { epoch } = await store.read(ROOM, {});
  const key = `member/${name}`;
  const draft = { id: `${name} joins`, by: name, author: name, kind: 'add:member', body: {} };
  const made = { ...draft, keyUpdates: [[key, { username: name, author: name }]] as [string, { username: string; author: string }][] };
  await store.append(ROOM, { epoch, expectedVersions: [], drafts: [{ ...made, lease: { key, node: 'node' } }] });
}

async function joinPeer(room: LocalRoom, store: Store, username: string): Promise<Connection> {
  const key = `member/${username}`;
  const member = (await store.read(ROOM, { keys: [key] })).keys.get(key);
  if (!member) throw new Error(`${username} is no member.`);
  const connection = newConnection(username);
  await room.attachMember({ connection, key, username }, member);
  return connection;
}

test('a shared page is not reused once the log has another end of the same length', async () => {
  const replica = openMemory();
  await say(replica, 'kept');
  const { store, replace } = replaceable(replica.copy());
  const room = await openRoom(store);
  const noticesOf = async (id: string): Promise<string[]> => {
    await say(store, id);
    await room.follower.catchUp();
    return (await room.readPage({ after: 1, limit: 10, bytes: 1_024 })).entries.map(({ entry }) => entry.id);
  };

  expect(await noticesOf('lost')).toEqual(['lost']);
  replace(replica.copy());
  expect(await noticesOf('of a fork')).toEqual(['of a fork']);
  // The replaced log also loses its epoch.
  replace(replica.copy());
  await room.follower.catchUp();
  expect(await noticesOf('instead')).toEqual(['instead']);
});

test('a peer that joins a log with a new epoch while its membership is looked up stays', async () => {
  const replica = openMemory();
  for (const name of ['ben', 'chiyo']) await becomeMember(replica, name);
  const { store, replace } = replaceable(replica.copy());
  await becomeMember(store, 'dan');
  let meanwhile = async (): Promise<unknown> => undefined;
  const read = async (room: string, ask: Parameters<Store['read']>[1]): Promise<RoomFacts> => {
    const facts = await store.read(room, ask);
    if (ask.keys?.includes('member/dan')) await meanwhile();
    return facts;
  };
  const room = await openRoom(new Proxy(store, { get: (_, name: keyof Store) => (name === 'read' ? read : store[name]) }));
  await joinPeer(room, store, 'ben');
  await joinPeer(room, store, 'dan');

  meanwhile = () => joinPeer(room, store, 'chiyo');
  replace(replica.copy());
  await room.follower.catchUp();
  await until(() => !room.isAttached('member/dan'), 'a member who is not in the log is detached');
  expect(['ben', 'chiyo'].filter((name) => room.isAttached(`member/${name}`))).toEqual(['ben', 'chiyo']);
});

test('a join that replaces an entry which a new epoch lost attaches its peer', async () => {
  const replica = openMemory();
  await becomeMember(replica, 'aya');
  const { store, replace } = replaceable(replica.copy());
  await say(store, 'lost');
  const responseMemory = new ResponseMemory();
  const onError = (error: unknown) => expect(error).toBeUndefined() as undefined;
  const options = { store, responseMemory, node: 'node', graceMs: 1_000, largeRoomThreshold: LIMITS.largeRoom, onError };
  const registry = new RoomRegistry(options);
  onTestFinished(() => registry.close());
  await registry.join(newConnection('ben'), { roomId: ROOM, username: 'ben' }, async () => {
    replace(replica.copy());
    await becomeMember(store, 'ben');
    const { epoch, head } = await store.read(ROOM, {});
    return { outcome: 'appended', epoch: String(epoch), seq: head, entries: [] };
  });
  expect((await registry.get(ROOM))?.isAttached('member/ben')).toBe(true);
});

test('a connection that ends before its presence is read is not counted', async () => {
  const store = openMemory();
  await becomeMember(store, 'ben');
  const room = await openRoom(store);
  const [first, second] = [await joinPeer(room, store, 'ben'), await joinPeer(room, store, 'ben')];
  const said: unknown[] = [];
  const announce = vi.spyOn(room.ephemeralEvents, 'publish').mockImplementation(async (signal) => void said.push(signal?.signal));
  room.detach(second, 'member/ben', 'ben');
  await room.updatePresence(second, { username: 'ben', presence: 'away' });
  expect(said).toEqual([]);
  await room.updatePresence(first, { username: 'ben', presence: 'away' });
  expect(said).toEqual([{ roomId: ROOM, username: 'ben', presence: 'away' }]);
  announce.mockRestore();
});
