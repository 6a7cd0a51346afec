/** Servers that are killed, lose their power, are deployed anew or freeze: what was acknowledged is there, once. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { openEmbedded, openMemory } from '@engawa/server';
import { expect, onTestFinished, test } from 'vitest';
import { type FaultyProxy, startProxy } from '../../../server/test/helpers/proxy.ts';
import { readEntries } from '../../../server/test/helpers/recording.ts';
import { connect, newFolder, startServer, until, within } from '../../../server/test/helpers/server.ts';
import { type Person, ROOM, type SdkPerson, type StockPerson } from '../helpers/people.ts';
import { Scene } from '../helpers/scene.ts';
import { ServerProcess } from '../helpers/server-process.ts';
import { freezable } from '../helpers/two-servers.ts';

interface Crowd {
  scene: Scene;
  sdk: SdkPerson[];
  stock: StockPerson[];
  all: Person[];
  /** Ends the talking. */
  hush: () => void;
}

/** People of both kinds who talk without a pause. */
async function talkingCrowd({ url }: FaultyProxy): Promise<Crowd> {
  const scene = new Scene();
  const sdk = [await scene.enter('aya', url), await scene.enter('ben', url)];
  const stock = [await scene.enterStock('chiyo', url), await scene.enterStock('dan', url)];
  const all = [...sdk, ...stock];
  const hushes = all.map((person) => person.talk());
  const hush = () => {
    for (const each of hushes) each();
  };
  return { scene, sdk, stock, all, hush };
}

/** Everybody lost the connection so often, and is here again. */
const areBack = ({ all }: Crowd, drops: number): Promise<void> =>
  until(() => all.every((each) => each.drops >= drops && each.isHere), 'all are back', 20_000);

/** All is calm; then the server stops, and what it leaves on the disk is looked at. */
async function endsWell({ scene, hush }: Crowd, server: ServerProcess, folder: string): Promise<void> {
  hush();
  await scene.calm();
  await server.stop();
  const store = await openEmbedded({ folder });
  onTestFinished(() => store.close());
  expect(await scene.faults(store)).toEqual([]);
}

test('F4: a server that is killed while all talk has everything that it acknowledged, once, and all come back and go on', async () => {
  const folder = newFolder();
  let server = await ServerProcess.start(folder);
  const proxy = await startProxy(server);
  const crowd = await talkingCrowd(proxy);
  let cutShort = 0;
  for (let kills = 1; kills <= 3; kills += 1) {
    await crowd.scene.untilAcknowledged(100);
    await server.kill();
    cutShort += crowd.scene.open;
    server = await ServerProcess.start(folder);
    proxy.retarget(server.port);
    await areBack(crowd, kills);
  }
  await crowd.scene.untilAcknowledged(100);
  expect(cutShort, 'chats were on their way when the server was killed').toBeGreaterThan(0);
  for (const { recovered } of crowd.stock) expect(recovered).toBe(3);
  await endsWell(crowd, server, folder);
});

test('F5: a server whose power fails while all talk has everything that it acknowledged', async () => {
  const [power, disk] = [newFolder(), join(newFolder(), 'disk')];
  const folder = mountedDisk(disk);
  const server = await ServerProcess.start(folder);
  const proxy = await startProxy(server);
  const crowd = await talkingCrowd(proxy);
  await crowd.scene.untilAcknowledged(300);
  writeFileSync(join(folder, 'unsynced'), 'x'.repeat(100_000));
  await crowd.scene.untilAcknowledged(20);

  // What is in the memory of this machine does not come along: only what the disk was given.
  server.freeze();
  const acknowledged = crowd.scene.acknowledged;
  copyFileSync(disk, join(power, 'disk'));
  await server.kill();
  expect(statSync(join(folder, 'unsynced')).size).toBe(100_000);
  const left = mountedDisk(join(power, 'disk'), { isNew: false });
  const isLost = !existsSync(join(left, 'unsynced')) || statSync(join(left, 'unsynced')).size === 0;
  expect(isLost, 'what was written without waiting for the disk is lost').toBe(true);

  const again = await ServerProcess.start(left);
  proxy.retarget(again.port);
  await areBack(crowd, 1);
  for (const { recovered } of crowd.stock) expect(recovered).toBe(1);
  await crowd.scene.untilAcknowledged(100);
  expect(acknowledged).toBeGreaterThan(300);
  await endsWell(crowd, again, left);
});

/** A file as a disk, with a file system that waits for it as on any machine. */
function mountedDisk(file: string, { isNew = true } = {}): string {
  const folder = newFolder();
  if (isNew) {
    writeFileSync(file, '');
    truncateSync(file, 64 * 1024 * 1024);
    execFileSync('mkfs.ext4', ['-q', file]);
  }
  execFileSync('mount', ['-o', 'loop', file, folder]);
  onTestFinished(() => void execFileSync('umount', ['--lazy', folder]));
  return folder;
}

test('F19: a deploy loses nothing: all that was asked is answered or asked again, and all are told when to come back', async () => {
  const folder = newFolder();
  let server = await ServerProcess.start(folder);
  const proxy = await startProxy(server);
  const crowd = await talkingCrowd(proxy);
  const { scene, sdk, stock } = crowd;
  const bystanders = await Promise.all(Array.from({ length: 30 }, () => connect(server.url)));
  const returnAfter: number[] = [];
  for (const each of bystanders) each.on('close:connection', (notice: { returnAfter: number }) => returnAfter.push(notice.returnAfter));

  for (let deploys = 1; deploys <= 2; deploys += 1) {
    await scene.untilAcknowledged(100);
    const ready = await halfAsked(server, '/ready');
    const stopping = server.stop();
    await until(() => stock.every(({ drops }) => drops === deploys), 'the server ended the connections');
    expect(await ready.finish(), 'no balancer sends anybody here any more').toMatch(/^HTTP\/1.1 503 /);
    expect(await stopping).toBe(0);
    server = await ServerProcess.start(folder);
    proxy.retarget(server.port);
    await areBack(crowd, deploys);
  }

  await scene.untilAcknowledged(100);
  expect(returnAfter).toHaveLength(bystanders.length);
  expect(new Set(returnAfter).size, 'not all at once').toBeGreaterThan(1);
  for (const each of crowd.all) expect(each.returnAfter).toHaveLength(2);
  for (const { errors, drops } of sdk) expect({ errors, drops }).toEqual({ errors: [], drops: 2 });
  for (const { recovered } of stock) expect(recovered).toBe(2);
  await endsWell(crowd, server, folder);
});

/** A request of which the end is yet to come: its connection stays when a server stops to take others. */
async function halfAsked({ port }: ServerProcess, path: string): Promise<{ finish: () => Promise<string> }> {
  const socket = connectTcp(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await new Promise<void>((resolve) => socket.write(`GET ${path} HTTP/1.1\r\nHost: engawa\r\n`, () => resolve()));
  const finish = () => {
    const answer = new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(String(bytes))));
    socket.end('\r\n');
    return within(answer, `the answer to ${path}`);
  };
  return { finish };
}

test('F23: a server that froze, and lost its clients meanwhile, acknowledges and tells nothing stale when it wakes', async () => {
  const folder = newFolder();
  const server = await ServerProcess.start(folder, { brisk: true });
  const proxy = await startProxy(server);
  const crowd = await talkingCrowd(proxy);
  const { scene, stock, all } = crowd;
  for (let freezes = 1; freezes <= 2; freezes += 1) {
    await scene.untilAcknowledged(100);
    server.freeze();
    await until(() => all.every(({ drops }) => drops >= freezes), 'all noticed that it says nothing');
    expect(scene.open, 'chats wait for an answer').toBeGreaterThan(0);
    server.thaw();
    await areBack(crowd, freezes);
  }
  await scene.untilAcknowledged(100);
  for (const { recovered, returns } of stock) expect(recovered).toBe(returns);
  await endsWell(crowd, server, folder);
});

test('F23: a server that the others took for dead, and whose guests they let go, finds out when it wakes; all are there again, with all they said', async () => {
  const memory = openMemory();
  const { store, freeze, thaw } = freezable(memory);
  const [zombie, other] = [
    await startServer({ store, grace: 600, limits: 'off' }),
    await startServer({ store: memory, grace: 600, limits: 'off' }),
  ];
  const scene = new Scene();
  const people = [await scene.enter('aya', other.url), await scene.enter('ben', zombie.url), await scene.enter('chiyo', zombie.url)];
  const hushes = people.map((person) => person.talk());
  await scene.untilAcknowledged(60);
  freeze();
  const isGone = async () => (await readEntries(memory, ROOM)).filter(({ kind }) => kind === 'remove:member').length === 2;
  await until(isGone, 'its guests are let go');
  expect(scene.open, 'they wait for an answer').toBeGreaterThanOrEqual(2);
  await scene.untilAcknowledged(60);
  thaw();
  await until(() => people.every(({ isHere }) => isHere), 'all are here again');
  await scene.untilAcknowledged(60);
  for (const hush of hushes) hush();
  await scene.endsWell(memory);
  expect(
    people.map(({ drops }) => drops),
    'it was its store that it lost, not its clients',
  ).toEqual([0, 0, 0]);
});
