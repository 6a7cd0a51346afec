#!/usr/bin/env bash
# Two reconnecting WebSockets send their queue before the program's `open` listener can say hello.
#
# Guess:   what `send` is given while the connection is down waits for the next connection, and goes out after the listeners of
#          `open`, where programs log in, subscribe or shake hands.
# Happens: reconnecting-websocket and partysocket, its successor, send their queue first and emit `open` then. websocket-ts
#          emits `open` first. A protocol with a handshake breaks: a server of Socket.IO gets an event before the namespace
#          is connected, and closes the connection. The queue is empty by then, so the next connection works, the message
#          is lost, and the program gets no error.
# Matters: people write clients of a server's own protocol on such a library. A chat that is sent while the connection is down
#          has to wait in a queue of the client's own until the handshake is done, and the docs of a protocol have to say
#          so.
# Seen:    2026-11-30, reconnecting-websocket 4.4.0, partysocket 1.3.0, websocket-ts 2.3.0, socket.io 4.8.4, ws 8.23.0.
. "$(dirname "$0")/common.sh"

npm_packages reconnecting-websocket@4.4.0 partysocket@1.3.0 websocket-ts@2.3.0 socket.io@4.8.4 ws@8.23.0

cat >"$work/run.mjs" <<'JS'
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket as PartySocket } from 'partysocket';
import reconnecting from 'reconnecting-websocket';
import { Server } from 'socket.io';
import { ArrayQueue, ConstantBackoff, WebsocketBuilder } from 'websocket-ts';
import { WebSocket, WebSocketServer } from 'ws';

globalThis.WebSocket = WebSocket;
const ReconnectingWebSocket = reconnecting.default ?? reconnecting;
const SOON = { WebSocket, minReconnectionDelay: 200, maxReconnectionDelay: 200 };

const CLIENTS = {
  'reconnecting-websocket': (url) => new ReconnectingWebSocket(url, [], SOON),
  partysocket: (url) => new PartySocket(url, [], SOON),
  'websocket-ts': (url) => new WebsocketBuilder(url).withBuffer(new ArrayQueue()).withBackoff(new ConstantBackoff(200)).build(),
};

async function orderAfterDrop(connect) {
  const server = new WebSocketServer({ port: 0 });
  await once(server, 'listening');
  let frames = [];
  server.on('connection', (peer) => peer.on('message', (frame) => frames.push(String(frame))));

  const client = connect(`ws://127.0.0.1:${server.address().port}`);
  client.addEventListener('open', () => client.send('hello'));
  await wait(300);
  for (const peer of server.clients) peer.terminate();
  frames = [];
  await wait(50);
  client.send('first');
  client.send('second');
  await wait(600);
  client.close();
  server.close();
  return frames.join(', ');
}

async function chatAfterDrop() {
  const server = new Server(0);
  const seen = [];
  server.on('connection', (socket) => {
    seen.push('connected');
    socket.on('chat', (text) => seen.push(text));
  });
  const client = CLIENTS['reconnecting-websocket'](`ws://127.0.0.1:${server.httpServer.address().port}/socket.io/?EIO=4&transport=websocket`);
  // The client's side of the protocol: `0` opens the transport, `40` connects to the namespace, `42` is an event.
  client.addEventListener('message', ({ data }) => data.startsWith('0') && client.send('40'));
  await wait(300);
  client.send('42["chat","before"]');
  await wait(100);
  for (const socket of server.sockets.sockets.values()) socket.conn.transport.socket.terminate();
  await wait(50);
  client.send('42["chat","meanwhile"]');
  await wait(1500);
  client.send('42["chat","after"]');
  await wait(200);
  client.close();
  return seen.join(', ');
}

for (const [name, connect] of Object.entries(CLIENTS)) console.log(`${name}: ${await orderAfterDrop(connect)}`);
console.log(`a server of Socket.IO: ${await chatAfterDrop()}`);
process.exit();
JS

see node run.mjs
as_described <<'END'
reconnecting-websocket: first, second, hello
partysocket: first, second, hello
websocket-ts: hello, first, second
a server of Socket.IO: connected, before, connected, after
END
