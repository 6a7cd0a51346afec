/** A restored backup: clients detect what it lacks, receive a reset, and send their lost chats again. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@engawa/client';
import { isSameLineage } from '@engawa/protocol/position';
import { openEmbedded } from '@engawa/server';
import { disconnectAll, ROOM } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { createTempFolder, type RunningServer, startServer, until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { expect, onTestFinished, test } from 'vitest';

const portOf = (url: string) => ({ port: Number(new URL(url).port) });

test('after a restore clients reload, and send the chats that the backup lacks again, once', { timeout: 60_000 }, async () => {
  const folder = createTempFolder();
  const backup = join(createTempFolder(), 'backup.db');
  const first = await startServer({ store: await openEmbedded({ folder }), rateLimits: 'off' });
  const port = Number(new URL(first.url).port);
  const [aya, ben] = [connect(first.url), connect(first.url)];
  onTestFinished(() => {
    void aya.close();
    void ben.close();
  });
  const room = await aya.join('veranda', { username: 'aya', create: true });
  const bens = await ben.join('veranda', { username: 'ben' });
  const resets: string[] = [];
  bens.on('reset', ({ reason }) => resets.push(reason));
  await room.send('in the backup').settled;
  const { epoch } = room.position;

  await copyOf(join(folder, 'engawa.db'), backup);
  const replyTo = room.position.seq;
  for (const word of ['lost 1', 'lost 2']) await room.send(word, { replyTo }).settled;
  await until(() => bens.timeline.chats.length === 3, 'the client received everything');
  await first.stop();
  await first.store.close();

  rmSync(join(folder, 'engawa.db-wal'), { force: true });
  rmSync(join(folder, 'engawa.db-shm'), { force: true });
  cpSync(backup, join(folder, 'engawa.db'));
  const store = await openEmbedded({ folder });
  expect(store.wasRestored).toBe(true);
  await startServer({ store, rateLimits: 'off', port });

  await until(() => resets.length > 0 && bens.state === 'live' && room.state === 'live', 'the client is notified', 20_000);
  await until(() => bens.timeline.chats.length === 3, 'all is there again', 20_000);
  const messages = ({ timeline }: typeof room) => timeline.chats.map(({ message }) => message);
  expect(messages(bens)).toEqual(['in the backup', 'lost 1', 'lost 2']);
  expect(messages(room)).toEqual(messages(bens));
  // The seq may be another chat's now.
  expect(bens.timeline.chats.map((chat) => chat.replyTo)).toEqual([undefined, undefined, undefined]);
  expect(resets).toEqual(['reset']);
  expect(room.position.epoch).not.toBe(epoch);
  expect(isSameLineage(room.position.epoch, epoch)).toBe(true);
});

test('a data folder that was only closed, killed or copied whole does not count as restored', async () => {
  const folder = createTempFolder();
  for (const turn of [1, 2, 3]) {
    const store = await openEmbedded({ folder });
    expect(store.wasRestored).toBe(false);
    await store.append(`room ${turn}`, {
      epoch: null,
      expectedVersions: [],
      drafts: [{ id: `${turn}`, by: 'a', author: 'a', kind: 'k', body: {} }],
    });
    await store.close();
  }
  const copy = join(createTempFolder(), 'copy');
  mkdirSync(copy);
  cpSync(folder, copy, { recursive: true });
  const store = await openEmbedded({ folder: copy });
  expect(store.wasRestored).toBe(false);
  await store.close();
});

test.each([
  ['is behind them', 0],
  ['has gone on since', 30],
])(
  'F28: a client of a log that was restored from an old copy, and %s, receives a reset, and sends its lost chats again',
  async (_, meanwhile) => {
    const [folder, copy] = [createTempFolder(), createTempFolder()];
    const first = await on(folder);
    const [proxy, direct] = [await startProxy(portOf(first.url)), await startProxy(portOf(first.url))];
    const setup = new ConsistencyChecker();
    const [aya, ben] = [await setup.addSdkActor('aya', direct.url), await setup.addSdkActor('ben', proxy.url)];
    await aya.sendChats(5);
    await until(() => ben.texts.length === 5, 'the client received them');
    // An operator copies the files when they are complete.
    const comeBack = await disconnectAll(proxy, ben);
    const ayaComesBack = await disconnectAll(direct, aya);
    await close(first);
    cpSync(folder, copy, { recursive: true });
    const second = await on(folder);
    for (const each of [proxy, direct]) each.retarget(portOf(second.url).port);
    comeBack();
    ayaComesBack();
    await ben.sendChats(20);
    await until(() => ben.texts.length === 25 && aya.texts.length === 25, 'all received everything');
    const before = ben.room.position.seq;

    const [benReturns, ayaReturns] = [await disconnectAll(proxy, ben), await disconnectAll(direct, aya)];
    await close(second);
    const third = await on(copy);
    for (const each of [proxy, direct]) each.retarget(portOf(third.url).port);
    const { head } = await third.store.read(ROOM, {});
    expect(head, 'the log lost its end').toBeLessThan(before);
    ayaReturns();
    await until(() => aya.resets.length > 0 && aya.isLive, 'aya is notified');
    await aya.sendChats(meanwhile);
    benReturns();
    await until(() => ben.resets.length > 0 && ben.isLive, 'ben is notified');
    await aya.sendChats(1);
    await setup.waitUntilConsistent();
    expect([aya.resets, ben.resets]).toEqual([['reset'], ['reset']]);
    const chats = ben.room.timeline.chats.filter(({ username }) => username === 'ben').map(({ message }) => message);
    expect(chats).toEqual(Array.from({ length: 20 }, (__, number) => `ben ${number + 1}`));
  },
);

async function on(folder: string): Promise<RunningServer> {
  return startServer({ store: await openEmbedded({ folder }), rateLimits: 'off' });
}

async function close({ stop, store }: RunningServer): Promise<void> {
  await stop();
  await store.close();
}

/** As operators make one, while the server runs. */
async function copyOf(database: string, backup: string): Promise<void> {
  const script = `
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite') ?? (await import('@photostructure/sqlite'));
    new DatabaseSync(process.argv[1], { readOnly: true }).exec("VACUUM INTO '" + process.argv[2] + "'");`;
  execFileSync(process.execPath, ['--input-type=module', '-e', script, database, backup], { cwd: import.meta.dirname });
}
