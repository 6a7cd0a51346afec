/** A backup that is put back: what it lacks is found out, told, and said again by those who said it. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@engawa/client';
import { isSameRoom } from '@engawa/protocol/position';
import { openEmbedded } from '@engawa/server';
import { expect, onTestFinished, test } from 'vitest';
import { newFolder, startServer, until } from '../../server/test/helpers/server.ts';

test('after a restore clients load anew, and what the backup lacks of theirs is said again, once', { timeout: 60_000 }, async () => {
  const folder = newFolder();
  const backup = join(newFolder(), 'backup.db');
  const first = await startServer({ store: await openEmbedded({ folder }), limits: 'off' });
  const port = Number(new URL(first.url).port);
  const [aya, ben] = [connect(first.url), connect(first.url)];
  onTestFinished(() => {
    aya.close();
    ben.close();
  });
  const room = await aya.join('veranda', { username: 'aya', create: true });
  const his = await ben.join('veranda', { username: 'ben' });
  const resets: string[] = [];
  his.on('reset', ({ reason }) => resets.push(reason));
  await room.send('in the backup').settled;
  const { epoch } = room.position;

  await copyOf(join(folder, 'engawa.db'), backup);
  for (const word of ['lost 1', 'lost 2']) await room.send(word).settled;
  await until(() => his.timeline.chats.length === 3, 'he heard all');
  await first.stop();
  await first.store.close();

  rmSync(join(folder, 'engawa.db-wal'), { force: true });
  rmSync(join(folder, 'engawa.db-shm'), { force: true });
  cpSync(backup, join(folder, 'engawa.db'));
  const store = await openEmbedded({ folder });
  expect(store.wasRestored).toBe(true);
  await startServer({ store, limits: 'off', port });

  await until(() => resets.length > 0 && his.state === 'live' && room.state === 'live', 'he is told', 20_000);
  await until(() => his.timeline.chats.length === 3, 'all is there again', 20_000);
  const messages = ({ timeline }: typeof room) => timeline.chats.map(({ message }) => message);
  expect(messages(his)).toEqual(['in the backup', 'lost 1', 'lost 2']);
  expect(messages(room)).toEqual(messages(his));
  expect(resets).toEqual(['reset']);
  expect(room.position.epoch).not.toBe(epoch);
  expect(isSameRoom(room.position.epoch, epoch)).toBe(true);
});

test('a folder that was only closed, killed or copied whole is no restored one', async () => {
  const folder = newFolder();
  for (const turn of [1, 2, 3]) {
    const store = await openEmbedded({ folder });
    expect(store.wasRestored).toBe(false);
    await store.append(`room ${turn}`, { epoch: null, given: [], drafts: [{ id: `${turn}`, by: 'a', author: 'a', kind: 'k', body: {} }] });
    await store.close();
  }
  const copy = join(newFolder(), 'copy');
  mkdirSync(copy);
  cpSync(folder, copy, { recursive: true });
  const store = await openEmbedded({ folder: copy });
  expect(store.wasRestored).toBe(false);
  await store.close();
});

/** As operators make one, while the server runs. */
async function copyOf(database: string, backup: string): Promise<void> {
  const script = `
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite') ?? (await import('@photostructure/sqlite'));
    new DatabaseSync(process.argv[1], { readOnly: true }).exec("VACUUM INTO '" + process.argv[2] + "'");`;
  execFileSync(process.execPath, ['--input-type=module', '-e', script, database, backup], { cwd: import.meta.dirname });
}
