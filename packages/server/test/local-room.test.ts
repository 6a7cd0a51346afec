import { LIMITS } from '@engawa/protocol';
import { openMemory, type Store } from '@engawa/server';
import { expect, onTestFinished, test } from 'vitest';
import { LocalRoom } from '#transport/local-room.js';

const ROOM = 'veranda';

async function say(store: Store, id: string): Promise<void> {
  const { epoch } = await store.read(ROOM, {});
  await store.append(ROOM, { epoch, given: [], drafts: [{ id, by: 'aya', author: 'α', kind: 'create:chat', body: {} }] });
}

test('a page that was shared is not given again once the log has another end of the same length', async () => {
  const replica = openMemory();
  await say(replica, 'kept');
  let primary = replica.copy();
  const store = new Proxy(primary, {
    get: (_, name: keyof Store) => (primary[name] as (...asked: unknown[]) => unknown).bind(primary),
  });
  const wire = { to: () => ({ emit: () => undefined }), sent: () => undefined, drained: async () => undefined, end: () => undefined };
  const onError = (error: unknown) => expect(error).toBeUndefined() as undefined;
  const room = await LocalRoom.open({
    ...{ roomId: ROOM, wire, store, node: 'node', largeRoom: LIMITS.largeRoom, onError },
    letGo: () => undefined,
    left: () => undefined,
  });
  onTestFinished(() => room.close());
  const toldOf = async (id: string): Promise<string[]> => {
    await say(primary, id);
    await room.follower.catchUp();
    return (await room.page(1, 10)).entries.map((entry) => entry.id);
  };

  expect(await toldOf('lost')).toEqual(['lost']);
  primary = replica.copy();
  expect(await toldOf('of a fork')).toEqual(['of a fork']);
  // With the fork goes its epoch.
  primary = replica.copy();
  await room.follower.catchUp();
  expect(await toldOf('instead')).toEqual(['instead']);
});
