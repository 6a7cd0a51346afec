#!/usr/bin/env bash
# In nginx, `proxy_http_version` decides whether `proxy_buffering` holds back a live response.
#
# Guess:   with `proxy_buffering on`, the default, nginx collects a response in its buffers and holds back server-sent events
#          until a buffer is full or the response ends. Only `X-Accel-Buffering: no` or `proxy_buffering off` makes it live.
# Happens: that is true of HTTP/1.0 to the server, the default, where the response has no chunks: small events come together
#          at the end. With `proxy_http_version 1.1` each chunk fills a buffer of its own, and nginx forwards it at once,
#          buffering or not.
# Matters: a live stream without `X-Accel-Buffering` works in each configuration that was written for WebSockets, since those
#          need 1.1, and stands still in one without that line. A test behind one of the two says nothing of the other. A
#          server has to send `X-Accel-Buffering: no`; it works with both.
# Seen:    2026-12-01, nginx 1.22.1 (Debian 12).
. "$(dirname "$0")/common.sh"

debian_packages 'nginx=1.22.1-*'

export SERVER_PORT DEFAULT_PORT CHUNKED_PORT
SERVER_PORT=$(free_port) DEFAULT_PORT=$(free_port) CHUNKED_PORT=$(free_port)

start_nginx <<CONF
proxy_buffering on;
server {
  listen 127.0.0.1:$DEFAULT_PORT;
  location / {
    proxy_pass http://127.0.0.1:$SERVER_PORT;
  }
}
server {
  listen 127.0.0.1:$CHUNKED_PORT;
  location / {
    proxy_http_version 1.1;
    proxy_pass http://127.0.0.1:$SERVER_PORT;
  }
}
CONF
listening "$DEFAULT_PORT" "$CHUNKED_PORT"

cat >"$work/run.mjs" <<'JS'
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

const { SERVER_PORT, DEFAULT_PORT, CHUNKED_PORT } = process.env;
const EVENTS = 4;

const server = createServer(async (request, response) => {
  const live = request.url === '/no' ? { 'x-accel-buffering': 'no' } : {};
  response.writeHead(200, { 'content-type': 'text/event-stream', ...live });
  for (let number = 1; number <= EVENTS; number++) {
    response.write(`data: ${number} ${performance.now()}\n\n`);
    await wait(700);
  }
  response.end();
});
await once(server.listen(SERVER_PORT, '127.0.0.1'), 'listening');

/** How many events arrive within half a second of being written. */
async function live(port, path) {
  const [response] = await once(get({ host: '127.0.0.1', port, path, agent: false }), 'response');
  let count = 0;
  for await (const bytes of response) {
    for (const [, time] of `${bytes}`.matchAll(/data: \d+ (\S+)/g)) if (performance.now() - Number(time) < 500) count++;
  }
  return `${count} of ${EVENTS} events at once`;
}

for (const [name, port] of [['HTTP/1.0', DEFAULT_PORT], ['HTTP/1.1', CHUNKED_PORT]]) {
  console.log(`${name}: ${await live(port, '/')}`);
  console.log(`${name}, X-Accel-Buffering: no: ${await live(port, '/no')}`);
}
process.exit();
JS

see node run.mjs
as_described <<'END'
HTTP/1.0: 0 of 4 events at once
HTTP/1.0, X-Accel-Buffering: no: 4 of 4 events at once
HTTP/1.1: 4 of 4 events at once
HTTP/1.1, X-Accel-Buffering: no: 4 of 4 events at once
END
