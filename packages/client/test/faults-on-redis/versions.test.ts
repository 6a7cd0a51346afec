/** Nodes of different versions on one Redis: each ignores, and preserves, what it does not understand of the other. */
import { randomUUID } from 'node:crypto';
import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { readEntries } from '@engawa/testkit/checkers/recording';
import { until } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import type { RedisServer } from '@engawa/testkit/redis/redis-servers';
import { newRedis } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';
import { startNode } from '../helpers/on-redis.ts';

/** The names of a room's keys and of its channel. */
async function namesIn(redis: RedisServer): Promise<(kind: string) => string> {
  const [name = ''] = (await redis.runRaw('KEYS', `*:room:${ROOM}`)) as string[];
  return (kind) => name.replace(':room:', `:${kind}:`);
}

/** Appends as a node does that has one more field everywhere, and a kind of entry that is unknown here. */
async function appendAsAnother(redis: RedisServer, kind: string, body: object): Promise<void> {
  const name = await namesIn(redis);
  const [epoch, head, prev, at, tick] = (await redis.runRaw('HMGET', name('room'), 'epoch', 'head', 'tail', 'at', 'tick')) as string[];
  const [seq, id] = [Number(head) + 1, randomUUID()];
  const entry = [
    id,
    JSON.parse(String(prev)),
    Number(at) + 1,
    Number(tick) + 1,
    'zoe',
    'an author',
    kind,
    kind === 'create:chat' ? 2 : 0,
    'of a later version',
    { more: true },
  ];
  await redis.runCommand('HSET', name('log'), seq, `${JSON.stringify(entry)}\n${JSON.stringify(body)}`);
  if (kind === 'create:chat') await redis.runCommand('SETBIT', name('listed'), seq - 1, 1);
  await redis.runCommand(
    'HSET',
    name('room'),
    'head',
    seq,
    'tail',
    JSON.stringify(id),
    'at',
    Number(at) + 1,
    'tick',
    Number(tick) + 1,
    'colour',
    'blue',
  );
  const received = [epoch, seq, 0, [[entry, body, 'seen']], { region: 'north' }];
  await redis.runCommand('PUBLISH', name('news'), JSON.stringify(['a later node', [received], null, { version: 9 }]));
}

test('F20: entries of a later version, of unknown kinds and with unknown fields, are delivered unchanged, and the room continues', async () => {
  const redis = await newRedis();
  const [one, other] = [await startNode(redis.url), await startNode(redis.url)];
  const setup = new ConsistencyChecker();
  const people = [
    await setup.addSdkActor('aya', one.url),
    await setup.addSdkActor('ben', other.url),
    await setup.addSocketIoActor('chiyo', other.url),
  ];
  const name = await namesIn(redis);
  for (let round = 1; round <= 3; round += 1) {
    await appendAsAnother(redis, 'create:poll', { question: 'tea?', options: [{ text: 'yes', votes: null }] });
    await appendAsAnother(redis, 'create:chat', { message: `hello ${round}`, thread: { of: 1 }, colour: 'blue' });
    await Promise.all(people.map((person) => person.sendChats(3)));
  }
  for (const {
    receivedLog: { entries },
  } of people) {
    await until(() => entries.filter(({ kind }) => kind === 'create:chat').length === 30, 'everything is received');
    expect(entries.filter(({ kind }) => kind === 'create:poll')).toHaveLength(3);
    expect(entries.find(({ message }) => message === 'hello 2')).toMatchObject({ thread: { of: 1 }, colour: 'blue' });
  }
  expect(await redis.runCommand('HGET', name('room'), 'colour'), 'unknown fields are preserved').toBe('blue');
  const log = await readEntries(one.store, ROOM);
  for (const { seqs } of people) expect(seqs).toEqual(log.slice(-seqs.length).map(({ seq }) => seq));
  // A new member, and a page, return the same.
  const dan = await setup.addSdkActor('dan', one.url);
  expect(dan.room.timeline.chats.map(({ message }) => message)).toEqual(
    (people[0] as typeof dan).room.timeline.chats.map(({ message }) => message),
  );
});

test('F20: notifications that no node here understands crash no process, and the log is read instead', async () => {
  const redis = await newRedis();
  const node = await ServerProcess.start(redis.url);
  const setup = new ConsistencyChecker();
  const [aya, ben] = [await setup.addSdkActor('aya', node.url), await setup.addSocketIoActor('ben', node.url)];
  const name = await namesIn(redis);
  const since = await subscribedSince(redis);
  const strange = [
    '',
    'no JSON',
    'null',
    '7',
    '[]',
    '{"v":2,"told":[]}',
    '["a later node"]',
    '["a later node",{"told":1}]',
    '["a later node",[7]]',
  ];
  const half = [
    '["a later node",[["e",1,0]]]',
    '["a later node",[["e",1,0,[[null,{}]]]]]',
    '["a later node",null,null]',
    '["a later node",null,{"event":"wave"}]',
  ];
  for (const news of [...strange, ...half]) {
    await redis.runCommand('PUBLISH', name('news'), news);
    await aya.sendChats(1);
  }
  await until(() => ben.texts.length === strange.length + half.length, 'the client receives her chat');
  expect(await subscribedSince(redis), 'nor do they cost the subscription').toEqual(since);
  expect([aya.drops, ben.drops]).toEqual([0, 0]);
  await setup.expectConsistent((await startNode(redis.url)).store);
});

const subscribedSince = async (redis: RedisServer): Promise<string[]> =>
  [...(await redis.runCommand('CLIENT', 'LIST', 'TYPE', 'pubsub')).matchAll(/^id=\d+/gm)].map(String);
