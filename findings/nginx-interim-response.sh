#!/usr/bin/env bash
# nginx takes an interim response (102, 103) for the final one, and all that follows for its body.
#
# Guess:   nginx 1.22 does not know interim responses other than 100 and 101, and drops them, as RFC 9110 (15.2) lets a proxy
#          do. The client gets the final response.
# Happens: it forwards the interim response as the final one, with fields of its own, and the bytes of the real one as a body
#          without a length. It holds all of it until the server has answered. Some clients get through by luck, since the
#          bytes look like an interim and a final response. The final one has the `Connection: close` that was meant for
#          nginx, after nginx said keep-alive: Node's client calls that a parse error. haproxy, Apache, Caddy and lighttpd
#          forward interim responses at once (by hand).
# Matters: 102 looks like the way to keep a long poll alive, and drafts of resumable uploads send 104. A server that people put
#          behind nginx can send neither. A heartbeat belongs in the body.
# Seen:    2026-11-30, nginx 1.22.1 (Debian 12), Node 20.20.
. "$(dirname "$0")/common.sh"

debian_packages 'nginx=1.22.1-*'

export SERVER_PORT NGINX_PORT
SERVER_PORT=$(free_port) NGINX_PORT=$(free_port)

start_nginx <<CONF
server {
  listen 127.0.0.1:$NGINX_PORT;
  location / {
    proxy_http_version 1.1;
    proxy_pass http://127.0.0.1:$SERVER_PORT;
  }
}
CONF
listening "$NGINX_PORT"

cat >"$work/run.mjs" <<'JS'
import { createServer, get } from 'node:http';
import { connect } from 'node:net';

const { SERVER_PORT, NGINX_PORT } = process.env;

createServer((request, response) => {
  if (request.url === '/102') response.writeProcessing();
  if (request.url === '/103') response.writeEarlyHints({ link: '</chat.css>; rel=preload' });
  setTimeout(() => response.end('answer'), 1000);
}).listen(SERVER_PORT, '127.0.0.1');

const ask = (port, path) => new Promise((resolve) => {
  const asked = get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
    response.setEncoding('utf8').on('data', (text) => resolve(`${response.statusCode} ${text}`));
  });
  asked.on('error', ({ code }) => resolve(code));
});

/** Status lines and `Connection` fields in their order, and whether the first byte came before the server had ended. */
const bytesOf = (port, path) => new Promise((resolve) => {
  const begun = performance.now();
  let text = '';
  let first;
  const socket = connect(port, '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: chat\r\n\r\n`));
  socket.setEncoding('latin1').on('data', (bytes) => {
    first ??= performance.now() - begun < 900 ? 'at once' : 'at the end';
    text += bytes;
    if (!text.endsWith('answer')) return;
    socket.destroy();
    resolve(`${first}: ${text.match(/^(HTTP.*|Connection.*)$/gim).map((line) => line.trim()).join(' | ')}`);
  });
});

for (const path of ['/', '/102', '/103']) {
  console.log(`${path} direct, Node's client:`, await ask(SERVER_PORT, path));
  console.log(`${path} nginx, Node's client:`, await ask(NGINX_PORT, path));
}
console.log('/103 direct, bytes', await bytesOf(SERVER_PORT, '/103'));
console.log('/103 nginx, bytes', await bytesOf(NGINX_PORT, '/103'));
process.exit();
JS

see node run.mjs
as_described <<'END'
/ direct, Node's client: 200 answer
/ nginx, Node's client: 200 answer
/102 direct, Node's client: 200 answer
/102 nginx, Node's client: HPE_CLOSED_CONNECTION
/103 direct, Node's client: 200 answer
/103 nginx, Node's client: HPE_CLOSED_CONNECTION
/103 direct, bytes at once: HTTP/1.1 103 Early Hints | HTTP/1.1 200 OK | Connection: keep-alive
/103 nginx, bytes at the end: HTTP/1.1 103 Early Hints | Connection: keep-alive | HTTP/1.1 200 OK | Connection: close
END
