#!/usr/bin/env bash
# A server with Socket.IO leaves a plain request that offers HTTP/2 without an answer.
#
# Guess:   `Upgrade: h2c` is an offer. A server that does not speak the protocol ignores it and answers in HTTP/1.1 (RFC 9110,
#          7.8), and Node's server does so.
# Happens: Node does so only while nothing listens to its `upgrade` event. Socket.IO listens, for WebSockets, and from then on
#          Node hands it every request that offers any protocol. Engine.IO holds a request for another path for a second,
#          then closes it without a byte; one for its own path gets 400. `GET /health` never reaches the application.
# Matters: `curl --http2` offers h2c, and Java's HttpClient does with each request to an http:// address unless it is told not
#          to (by hand, JDK 17: "header parser received no bytes"). nginx with the usual `map $http_upgrade`, haproxy and
#          Caddy 2.6 pass the offer on, and their client gets 502. A chat server has to handle such requests as if there
#          were no offer.
# Seen:    2026-11-30, socket.io 4.8.4, engine.io 6.6.12, Node 20.20.
. "$(dirname "$0")/common.sh"

npm_packages socket.io@4.8.4 engine.io@6.6.12

cat >"$work/run.mjs" <<'JS'
import { createServer, request } from 'node:http';
import { Server } from 'socket.io';

const OFFER = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' };

function ask(server, path, headers) {
  return new Promise((resolve) => {
    const begun = performance.now();
    const after = () => (performance.now() - begun > 900 ? ' after a second' : '');
    const asked = request({ port: server.address().port, path, headers, agent: false }, (response) => {
      response.setEncoding('utf8').on('data', (text) => resolve(`${response.statusCode} ${text.slice(0, 30)}${after()}`));
    });
    asked.on('error', ({ message }) => resolve(`${message}${after()}`)).end();
  });
}

const start = () => new Promise((resolve) => {
  const server = createServer((request, response) => response.end('alive'));
  server.listen(0, '127.0.0.1', () => resolve(server));
});

const plain = await start();
const chat = await start();
new Server(chat);

console.log('node alone, no offer:     ', await ask(plain, '/health', {}));
console.log('node alone, h2c offered:  ', await ask(plain, '/health', OFFER));
console.log('socket.io, no offer:      ', await ask(chat, '/health', {}));
console.log('socket.io, h2c offered:   ', await ask(chat, '/health', OFFER));
console.log('socket.io, polling, h2c:  ', await ask(chat, '/socket.io/?EIO=4&transport=polling', OFFER));
process.exit();
JS

see node run.mjs
as_described <<'END'
node alone, no offer:      200 alive
node alone, h2c offered:   200 alive
socket.io, no offer:       200 alive
socket.io, h2c offered:    socket hang up after a second
socket.io, polling, h2c:   400 Invalid Upgrade header
END
