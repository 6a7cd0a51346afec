/** Which clients receive the offset of an entry, as seen in packets. */
import { once } from 'node:events';
import { connect, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';

const roomId = 'veranda';
const CHAT = '42["create:chat:success",';

interface Handshake {
  query?: string;
  agent?: string;
  auth?: object;
}

/** A client that writes its packets itself joins the room under this name; returns the received packets. */
async function join(
  url: string,
  username: string,
  { query = 'EIO=4&transport=websocket', agent, auth = {} }: Handshake,
): Promise<string[]> {
  const headers = agent === undefined ? {} : { 'user-agent': agent };
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?${query}`, { headers });
  onTestFinished(() => socket.terminate());
  const packets: string[] = [];
  socket.on('message', (data: Buffer) => packets.push(data.toString()));
  await once(socket, 'open');
  socket.send(`40${JSON.stringify(auth)}`);
  await until(() => packets.some((packet) => packet.startsWith('40{')), 'a connection');
  socket.send(`421["add:member",${JSON.stringify({ roomId, username })}]`);
  await until(() => packets.some((packet) => packet.startsWith('431[{"ok":true')), `${username} is there`);
  return packets;
}

const chatsIn = (packets: string[]): unknown[][] =>
  packets.filter((packet) => packet.startsWith(CHAT)).map((packet) => JSON.parse(packet.slice(2)) as unknown[]);

const OFFSET = expect.stringMatching(/^\d+$/) as string;

async function startRoom() {
  const { url } = await startServer({ rateLimits: 'off' });
  const aya = await connect(url);
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  return { url, say: (message: string) => requestOk(aya, 'create:chat', { roomId, username: 'aya', message }) };
}

const AS_JAVASCRIPT = 'EIO=4&transport=websocket';
const AS_PYTHON = 'transport=websocket&EIO=4&t=1767225600';

test.each<[what: string, handshake: Handshake, isGiven: boolean]>([
  ['JavaScript without a name', {}, true],
  ['JavaScript with parameters of its own', { query: `token=x&${AS_JAVASCRIPT}` }, true],
  ['a browser', { agent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36' }, true],
  ['Node by XMLHttpRequest', { agent: 'node-XMLHttpRequest' }, true],
  ['Node by fetch', { agent: 'node' }, true],
  ['Deno', { agent: 'Deno/2.5.4' }, true],
  ['Bun', { agent: 'Bun/1.3.0' }, true],
  ['Python without a name', { query: AS_PYTHON }, false],
  ['Python', { query: AS_PYTHON, agent: 'Python/3.11 aiohttp/3.8.4' }, false],
  ['Dart', { agent: 'Dart/3.9 (dart:io)' }, false],
  ['Java', { agent: 'okhttp/4.12.0' }, false],
  ['Swift', { agent: 'Chat/1 CFNetwork/1568.100.1 Darwin/24.0.0' }, false],
  ['JavaScript that wants none', { auth: { recovery: false } }, false],
  ['Python that wants it', { query: AS_PYTHON, auth: { recovery: true } }, true],
  ['one that says nothing that is understood', { query: AS_PYTHON, auth: { recovery: 'yes' } }, false],
])('%s: %j; given: %j', async (_, handshake, isGiven) => {
  const { url, say } = await startRoom();
  const packets = await join(url, 'ben', handshake);
  await say('hello');
  await until(() => chatsIn(packets).length === 1, 'the chat is received');
  const more = isGiven ? [OFFSET] : [];
  expect(chatsIn(packets)).toEqual([['create:chat:success', expect.objectContaining({ message: 'hello' }), ...more]]);
});

test('clients of both kinds in one room receive the same, in the same order', async () => {
  const { url, say } = await startRoom();
  const [withOffsets, without] = await Promise.all([join(url, 'ben', {}), join(url, 'chie', { query: AS_PYTHON })]);
  const messages = Array.from({ length: 200 }, (_, index) => String(index));
  await Promise.all(messages.map(say));
  await until(
    () => [withOffsets, without].every((packets) => chatsIn(packets).length === messages.length),
    'both have received everything',
  );
  const received = [withOffsets, without].map((packets) => chatsIn(packets).map(([, entry]) => entry));
  expect(received[0]).toEqual(received[1]);
  expect(received[0]).toEqual(messages.map((message) => expect.objectContaining({ message }) as object));
  expect(chatsIn(withOffsets).every(([, , offset]) => typeof offset === 'string')).toBe(true);
  expect(chatsIn(without).every(({ length }) => length === 2)).toBe(true);
});
