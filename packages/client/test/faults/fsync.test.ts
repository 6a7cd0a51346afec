/** Fault tests: after a power failure all acknowledged entries are on disk. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ActorGroup } from '@engawa/testkit/actors/actor-group';
import { createTempFolder } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { openStoreAt } from '@engawa/testkit/stores';
import { expect, onTestFinished, test } from 'vitest';

test('F5: a server whose power fails under load has everything that it acknowledged', async () => {
  const [power, disk] = [createTempFolder(), join(createTempFolder(), 'disk')];
  const folder = mountedDisk(disk);
  const server = await ServerProcess.start(folder);
  const proxy = await startProxy(server);
  const group = await ActorGroup.startSmall(proxy.url);
  await group.checker.waitForAcknowledged(300);
  writeFileSync(join(folder, 'unsynced'), 'x'.repeat(100_000));
  await group.checker.waitForAcknowledged(20);

  // The copy has only what was written to the disk, not what is in this machine's memory.
  server.freeze();
  const acknowledged = group.checker.acknowledgedCount;
  copyFileSync(disk, join(power, 'disk'));
  await server.kill();
  expect(statSync(join(folder, 'unsynced')).size).toBe(100_000);
  const left = mountedDisk(join(power, 'disk'), { isNew: false });
  const isLost = !existsSync(join(left, 'unsynced')) || statSync(join(left, 'unsynced')).size === 0;
  expect(isLost, 'what was written without waiting for the disk is lost').toBe(true);

  const again = await ServerProcess.start(left);
  proxy.retarget(again.port);
  await group.waitUntilReconnected(1);
  for (const { recoveries } of group.socketIo) expect(recoveries).toBe(1);
  await group.checker.waitForAcknowledged(100);
  expect(acknowledged).toBeGreaterThan(300);
  await group.expectConsistent(() => again.stop().then(() => openStoreAt(left)));
});

/** A file as a disk, with a file system that honours fsync as on any machine. */
function mountedDisk(file: string, { isNew = true } = {}): string {
  const folder = createTempFolder();
  if (isNew) {
    writeFileSync(file, '');
    truncateSync(file, 64 * 1024 * 1024);
    execFileSync('mkfs.ext4', ['-q', file]);
  }
  execFileSync('mount', ['-o', 'loop', file, folder]);
  onTestFinished(() => void execFileSync('umount', ['--lazy', folder]));
  return folder;
}
