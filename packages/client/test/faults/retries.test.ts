/** Fault tests: retried commands are stored once. */

import type { Ack } from '@engawa/protocol';
import type { AppendResult, Store } from '@engawa/server';
import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { connect, startServer, until, withOverrides, withTimeout } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { newStore, storeForAnotherServer } from '@engawa/testkit/stores';
import { expect, test } from 'vitest';

const HOUR = 3_600_000;
const portOf = (url: string) => ({ port: Number(new URL(url).port) });

/**
 * Two servers with the same rooms, and the results of their appends of chats. `before` is called just before a chat is stored.
 */
async function startBoth(rooms: Store, before: () => void = () => undefined) {
  const outcomes: AppendResult[] = [];
  const start = async (store: Store) => {
    const append: Store['append'] = async (room, ask) => {
      const isChat = ask.drafts.some(({ kind }) => kind === 'create:chat');
      if (isChat) before();
      const outcome = await store.append(room, ask);
      if (isChat) outcomes.push(outcome);
      return outcome;
    };
    return startServer({ store: withOverrides(store, { append }), rateLimits: 'off', absenceMs: 0 });
  };
  return { first: await start(rooms), second: await start(await storeForAnotherServer(rooms)), outcomes };
}

const placeOf = (outcome: AppendResult | undefined) => (outcome && outcome.outcome !== 'stale' ? outcome.entries[0] : undefined);

test.each([
  ['to the same server', 'same'],
  ['to another server', 'other'],
  ['after an hour, when its lease had expired', 'later'],
] as const)(
  'F6: a chat whose acknowledgement was lost, and that is sent again %s, is stored once and answered as the first time',
  async (_, where) => {
    let ahead = 0;
    let cut: (() => void) | undefined;
    const rooms = await newStore({ clock: () => Date.now() + ahead });
    const { first, second, outcomes } = await startBoth(rooms, () => cut?.());
    const setup = new ConsistencyChecker();
    const proxy = await startProxy(portOf(first.url));
    await setup.addSdkActor('aya', second.url);
    for (const ben of [await setup.addSdkActor('ben', proxy.url), await setup.addSocketIoActor('chiyo', proxy.url)]) {
      const [before, drops] = [outcomes.length, ben.drops];
      // The server has the chat, and no answer can reach the sender any more.
      cut = () => {
        cut = undefined;
        proxy.refuse(true);
        proxy.cut();
      };
      const said = ben.sendChats();
      await until(() => outcomes.length > before && ben.drops > drops, 'it is stored and the client dropped');
      expect(setup.unansweredCount, 'the client was not notified').toBe(1);

      if (where === 'other') proxy.retarget(portOf(second.url).port);
      if (where === 'later') {
        ahead += HOUR;
        await until(async () => (await rooms.read(ROOM, { keys: [`member/${ben.name}`] })).keys.size === 0, 'the name expired');
      }
      proxy.refuse(false);
      await withTimeout(said, 'the answer', 20_000);
      await until(() => outcomes.length > before + 1, 'it was sent again');
      expect(outcomes.slice(before).map(({ outcome }) => outcome)).toEqual(['appended', 'repeated']);
      expect(placeOf(outcomes.at(-1))).toEqual(placeOf(outcomes[before]));
      proxy.retarget(portOf(first.url).port);
    }
    await setup.expectConsistent(rooms);
  },
);

test('F7: a chat that is sent over three connections to two servers at the same time is stored once, with three equal answers', async () => {
  const rooms = await newStore();
  const { first, second, outcomes } = await startBoth(rooms);
  const setup = new ConsistencyChecker();
  await setup.addSdkActor('aya', first.url);
  const pen = setup.clientLogOf('ben');
  const auth = { session: 'b'.repeat(32) };
  const sockets = await Promise.all([first, second, first].map(({ url }) => connect(url, { auth })));
  for (const socket of sockets) {
    const payload = { roomId: ROOM, username: 'ben' };
    pen.recordAnswer(pen.recordRequest('add:member', payload), (await socket.emitWithAck('add:member', payload)) as Ack<'add:member'>);
  }
  const chats = Array.from({ length: 100 }, (_, number) => ({
    roomId: ROOM,
    username: 'ben',
    message: 'once',
    clientId: `once ${number}`,
  }));
  for (const chat of chats) {
    const sent = pen.recordRequest('create:chat', chat);
    const answers = (await Promise.all(sockets.map((socket) => socket.emitWithAck('create:chat', chat)))) as Ack<'create:chat'>[];
    for (const answer of answers) pen.recordAnswer(sent, answer);
    expect(answers[0]?.ok).toBe(true);
    expect(answers.slice(1)).toEqual([answers[0], answers[0]]);
  }
  expect(outcomes.filter(({ outcome }) => outcome === 'appended')).toHaveLength(chats.length);
  expect(outcomes.filter(({ outcome }) => outcome === 'repeated')).toHaveLength(2 * chats.length);
  await setup.expectConsistent(rooms);
});
