/**
 * A log that is set back while no server is up: no server notices it, so the client must. It has been shown what the log no
 * longer contains, although its own position is before the loss.
 */
import { type Client, type ClientOptions, connect, type Room, type TransportFactory } from '@engawa/client';
import { startTestServer, type TestServer } from '@engawa/client/testing';
import { until } from '@engawa/testkit/wait-for';
import { expect, onTestFinished, test } from 'vitest';
import { memoryStorage, messages } from './helpers/clients.ts';

const ROOM = 'veranda';

interface Hooks {
  /** Called before each request, which waits for it. */
  onRequest?: (event: string) => Promise<void> | void;
  /** Returns whether the client receives the event. */
  accepts?: (event: string) => boolean;
}

const withHooks =
  (factory: TransportFactory, hooks: Hooks): TransportFactory =>
  (url, listeners) => {
    const transport = factory(url, {
      ...listeners,
      onEvent: (event, payload) => hooks.accepts?.(event) !== false && listeners.onEvent(event, payload),
    });
    return {
      open: (options) => transport.open(options),
      close: () => transport.close(),
      request: async (event, payload, timeoutMs) => {
        await hooks.onRequest?.(event);
        return transport.request(event, payload, timeoutMs);
      },
    };
  };

function startRoom() {
  const server = startTestServer({ seed: 1 });
  onTestFinished(() => server.close());
  const open = (hooks: Hooks = {}, options: ClientOptions = {}): Client => {
    const client = connect('test:', { createTransport: withHooks(server.createTransport, hooks), ...options });
    onTestFinished(() => client.close());
    return client;
  };
  return { server, open };
}

/** The only server process ends, the log returns to the last copy, and the process starts again. */
async function setBack(server: TestServer): Promise<void> {
  server.kill();
  await server.failOver();
  server.start();
}

/** Runs an action once, at the first request of this event. */
function once(event: string, action: () => Promise<void>): Hooks {
  let isDone = false;
  return {
    onRequest: async (requested) => {
      if (isDone || requested !== event) return;
      isDone = true;
      await action();
    },
  };
}

/** Ben joins, leaves a position in a storage, and closes the page. What follows is to be lost. */
async function startWithStoredPosition() {
  const { server, open } = startRoom();
  const aya = await open().join(ROOM, { username: 'aya', create: true });
  const storage = memoryStorage();
  const page = open({}, { storage });
  await page.join(ROOM, { username: 'ben' });
  const { seq } = await settled(aya, 'first');
  await until(() => page.rooms[0]?.position.seq === seq, 'the page is up to date');
  await page.close();
  await settled(aya, 'second');
  server.replicate();
  return { server, open, aya, storage, seq };
}

async function settled(room: Room, message: string): Promise<{ seq: number }> {
  const result = await room.send(message).settled;
  if (!result.ok) throw new Error(result.error.message);
  return result;
}

test.each([
  ['shorter than', 0],
  ['longer than', 5],
])('a join is answered from entries that are then lost, and the log is %s before: the client shows what is left', async (_, growth) => {
  const { server, open, aya, storage } = await startWithStoredPosition();
  await aya.setTopic('lost');
  const chiyo = open();
  await chiyo.join(ROOM, { username: 'chiyo' });
  await chiyo.close();
  const setsBack = once('list:chats', async () => {
    await setBack(server);
    await until(() => aya.state === 'live' && aya.topic === '', 'the other client is back');
    for (let count = 0; count < growth; count += 1) await settled(aya, `new ${count}`);
  });
  const ben = await open(setsBack, { storage }).join(ROOM, { username: 'ben' });
  await until(() => ben.state === 'live' && ben.position.seq === aya.position.seq, 'the client is up to date');
  expect({ topic: ben.topic, members: ben.members, unread: ben.unread }).toEqual({ topic: '', members: 2, unread: 2 + growth });
});

test('a page shows an edit that is then lost: the client shows the chat as it is', async () => {
  const { server, open, aya, storage, seq } = await startWithStoredPosition();
  await aya.edit(seq, 'lost');
  const setsBack = once('resume:rooms', () => setBack(server));
  const ben = await open(setsBack, { storage }).join(ROOM, { username: 'ben' });
  await until(() => ben.state === 'live' && ben.position.seq === aya.position.seq, 'the client is up to date');
  expect(messages(ben)).toEqual(['first', 'second']);
});

test('a chat is acknowledged, and lost before it is delivered to its author: the client sends it again', async () => {
  const { server, open } = startRoom();
  const aya = await open({ accepts: (event) => event !== 'create:chat:success' }).join(ROOM, { username: 'aya', create: true });
  server.replicate();
  const { seq } = await settled(aya, 'hello');
  await setBack(server);
  await until(async () => (await server.store.read(ROOM, {})).head === seq, 'it is in the log again');
});
