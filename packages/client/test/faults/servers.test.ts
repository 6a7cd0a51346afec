/** Servers that are killed, deployed anew or freeze: what was acknowledged is there, once. */
import { connect as connectTcp } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startProxy } from '../../../server/test/helpers/proxy.ts';
import { readEntries } from '../../../server/test/helpers/recording.ts';
import { connect, startServer, until, within } from '../../../server/test/helpers/server.ts';
import { anotherFor, newPlace, newStore } from '../../../server/test/helpers/stores.ts';
import { ROOM } from '../helpers/people.ts';
import { Scene } from '../helpers/scene.ts';
import { ServerProcess } from '../helpers/server-process.ts';
import { areBack, endsWell, talkingCrowd } from '../helpers/talking-crowd.ts';
import { freezable } from '../helpers/two-servers.ts';

test('F4: a server that is killed while all talk has everything that it acknowledged, once, and all come back and go on', async () => {
  const place = newPlace();
  let server = await ServerProcess.start(place);
  const proxy = await startProxy(server);
  const crowd = await talkingCrowd(proxy);
  let cutShort = 0;
  for (let kills = 1; kills <= 3; kills += 1) {
    await crowd.scene.untilAcknowledged(100);
    await server.kill();
    cutShort += crowd.scene.open;
    server = await ServerProcess.start(place);
    proxy.retarget(server.port);
    await areBack(crowd, kills);
  }
  await crowd.scene.untilAcknowledged(100);
  expect(cutShort, 'chats were on their way when the server was killed').toBeGreaterThan(0);
  for (const { recovered } of crowd.stock) expect(recovered).toBe(3);
  await endsWell(crowd, server, place);
});

test('F19: a deploy loses nothing: all that was asked is answered or asked again, and all are told when to come back', async () => {
  const place = newPlace();
  let server = await ServerProcess.start(place);
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
    server = await ServerProcess.start(place);
    proxy.retarget(server.port);
    await areBack(crowd, deploys);
  }

  await scene.untilAcknowledged(100);
  expect(returnAfter).toHaveLength(bystanders.length);
  expect(new Set(returnAfter).size, 'not all at once').toBeGreaterThan(1);
  for (const each of crowd.all) expect(each.returnAfter).toHaveLength(2);
  for (const { errors, drops } of sdk) expect({ errors, drops }).toEqual({ errors: [], drops: 2 });
  for (const { recovered } of stock) expect(recovered).toBe(2);
  await endsWell(crowd, server, place);
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
  const place = newPlace();
  const server = await ServerProcess.start(place, { brisk: true });
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
  await endsWell(crowd, server, place);
});

test('F23: a server that the others took for dead, and whose guests they let go, finds out when it wakes; all are there again, with all they said', async () => {
  const rooms = await newStore();
  const { store, freeze, thaw } = freezable(await anotherFor(rooms));
  const [zombie, other] = [
    await startServer({ store, grace: 600, limits: 'off' }),
    await startServer({ store: rooms, grace: 600, limits: 'off' }),
  ];
  const scene = new Scene();
  const people = [await scene.enter('aya', other.url), await scene.enter('ben', zombie.url), await scene.enter('chiyo', zombie.url)];
  const hushes = people.map((person) => person.talk());
  await scene.untilAcknowledged(60);
  freeze();
  const isGone = async () => (await readEntries(rooms, ROOM)).filter(({ kind }) => kind === 'remove:member').length === 2;
  await until(isGone, 'its guests are let go');
  expect(scene.open, 'they wait for an answer').toBeGreaterThanOrEqual(2);
  await scene.untilAcknowledged(60);
  thaw();
  await until(() => people.every(({ isHere }) => isHere), 'all are here again');
  await scene.untilAcknowledged(60);
  for (const hush of hushes) hush();
  await scene.endsWell(rooms);
  expect(
    people.map(({ drops }) => drops),
    'it was its store that it lost, not its clients',
  ).toEqual([0, 0, 0]);
});
