/** One node with clients of two transports at the same time. */
import { LIMITS } from '@engawa/protocol';
import { ChatNode, openMemory } from '@engawa/server';
import { until } from '@engawa/testkit/wait-for';
import { expect, onTestFinished, test } from 'vitest';
import { type RecordingPeer, RecordingTransport } from './helpers/peers.ts';

const roomId = 'veranda';

async function startRoom() {
  const node = new ChatNode({ store: openMemory(), limits: { ...LIMITS, rates: null } });
  onTestFinished(() => node.close());
  const join = async (username: string, canUseOffsets: boolean) => {
    const peer = new RecordingTransport().newPeer();
    const connection = await node.admit(peer, { auth: {} }, { canUseOffsets });
    node.addConnection(connection);
    const request = async (event: string, payload: object) => {
      const answer = await node.dispatch({ connection, event, payload: { roomId, username, ...payload } });
      answer?.deliver(() => undefined);
      return answer?.ack;
    };
    expect(await request(username === 'aya' ? 'create:room' : 'add:member', {})).toMatchObject({ ok: true });
    return { peer, connection, request };
  };
  const [aya, ben] = [await join('aya', true), await join('ben', false)];
  const say = async (message: string) => expect(await aya.request('create:chat', { message })).toMatchObject({ ok: true });
  return { node, aya, ben, say };
}

const chatsOf = ({ sent }: RecordingPeer) =>
  sent.flatMap(([event, payload]) => (event === 'create:chat:success' ? [(payload as { message: string }).message] : []));
const lastArguments = ({ sent }: RecordingPeer) => sent.findLast(([event]) => event === 'create:chat:success')?.slice(2);

test('clients of two transports receive the chats of one room, and offsets only where they can use them', async () => {
  const { aya, ben, say } = await startRoom();
  await say('hello');
  expect([aya, ben].map(({ peer }) => chatsOf(peer))).toEqual([['hello'], ['hello']]);
  expect(lastArguments(aya.peer)).toEqual([expect.stringMatching(/^\d+$/)]);
  expect(lastArguments(ben.peer)).toEqual([]);
});

test('a slow client of one transport delays no client of another, and receives every chat once', async () => {
  const { node, aya, ben, say } = await startRoom();
  let drain = (): void => undefined;
  ben.peer.drained = new Promise((resolve) => (drain = resolve));
  node.context.roomRegistry.switchToBacklog(ben.connection);
  for (const message of ['1', '2', '3']) await say(message);
  expect(chatsOf(aya.peer)).toEqual(['1', '2', '3']);
  expect(chatsOf(ben.peer)).toEqual([]);

  drain();
  await until(() => ben.connection.backlogDelivery === undefined, 'ben receives broadcasts again');
  await say('4');
  expect(chatsOf(ben.peer)).toEqual(['1', '2', '3', '4']);
});

test('a backlog that cannot be read disconnects its own client only', async () => {
  const { node, aya, ben, say } = await startRoom();
  ben.peer.drained = Promise.reject(new Error('The transport failed.'));
  node.context.roomRegistry.switchToBacklog(ben.connection);
  await until(() => !ben.peer.isConnected, 'ben is disconnected');
  await say('still here');
  expect(aya.peer.isConnected).toBe(true);
  expect(chatsOf(aya.peer)).toEqual(['still here']);
});
