/** The answers of a node as values, whatever transport delivers them. */
import { LIMITS, type Limits } from '@engawa/protocol';
import { ChatNode, openMemory } from '@engawa/server';
import { until } from '@engawa/testkit/wait-for';
import { expect, onTestFinished, test } from 'vitest';
import { RecordingTransport } from './helpers/peers.ts';

const member = { roomId: 'veranda', username: 'aya' };

async function startMember(limits: Limits = { ...LIMITS, rates: null }) {
  const node = new ChatNode({ store: openMemory(), limits });
  onTestFinished(() => node.close());
  const peer = new RecordingTransport().newPeer();
  const connection = await node.admit(peer, { auth: {} });
  node.addConnection(connection);
  const dispatch = (event: string, payload: object) => node.dispatch({ connection, event, payload });
  (await dispatch('create:room', member))?.deliver(() => undefined);
  return { node, peer, connection, dispatch };
}

test('the memory of a response is released when the client has read what was delivered', async () => {
  const { node, peer, dispatch } = await startMember();
  const { responseMemory } = node.context;
  const answer = await dispatch('list:chats', { roomId: member.roomId });
  expect(answer?.ack).toMatchObject({ ok: true, chats: [] });
  const { usedBytes } = responseMemory;
  expect(usedBytes).toBeGreaterThan(0);
  let read = (): void => undefined;
  peer.read = new Promise((resolve) => (read = resolve));
  answer?.deliver(() => undefined);
  await new Promise(setImmediate);
  expect(responseMemory.usedBytes).toBe(usedBytes);

  read();
  await until(() => responseMemory.usedBytes === 0, 'the memory is released');
});

test('the memory of a response that cannot be written is released', async () => {
  const { node, dispatch } = await startMember();
  const answer = await dispatch('list:chats', { roomId: member.roomId });
  const failToWrite = () => {
    throw new Error('The socket is gone.');
  };
  expect(() => answer?.deliver(failToWrite)).toThrow('The socket is gone.');
  expect(node.context.responseMemory.usedBytes).toBe(0);
});

test('an answer is sent before the next request of the connection begins', async () => {
  const { node, dispatch } = await startMember();
  const steps: string[] = [];
  const { store } = node.context;
  const append = store.append.bind(store);
  store.append = (...request) => {
    for (const { body } of request[1].drafts) steps.push(`${(body as { message: string }).message} begins`);
    return append(...request);
  };
  const send = async (message: string, event = 'create:chat') => {
    await dispatch(event, { ...member, message, chatSeq: 1 });
    steps.push(`${message} is answered`);
  };
  // An edit is refused here, and separates the chats, which would begin together otherwise.
  await Promise.all([send('a'), send('an edit', 'update:chat'), send('b')]);
  expect(steps).toEqual(['a begins', 'a is answered', 'an edit is answered', 'b begins', 'b is answered']);
});

test('consecutive chats of one member start together, and are answered in order', async () => {
  const { dispatch } = await startMember();
  const answered: number[] = [];
  const acks = await Promise.all(
    [0, 1, 2, 3].map(async (index) => {
      const answer = await dispatch('create:chat', { ...member, message: String(index) });
      answered.push(index);
      return answer?.ack;
    }),
  );
  expect(answered).toEqual([0, 1, 2, 3]);
  expect(acks).toMatchObject([3, 4, 5, 6].map((seq) => ({ ok: true, seq })));
});

test('a client that is refused too often is disconnected after its last answer, and its later requests are ignored', async () => {
  const { peer, dispatch } = await startMember(LIMITS);
  const answers = await Promise.all(Array.from({ length: LIMITS.rates.refusals.burst + 5 }, () => dispatch('no:event', {})));
  const refused = answers.filter((answer) => answer !== undefined);
  expect(refused).toHaveLength(LIMITS.rates.refusals.burst + 1);
  for (const answer of refused) {
    expect(peer.isConnected).toBe(true);
    answer.deliver((ack) => expect(ack).toMatchObject({ ok: false }));
  }
  expect(peer.isConnected).toBe(false);
  expect(peer.sent.at(-1)).toMatchObject(['error', { code: 'too_many_refusals' }]);
});
