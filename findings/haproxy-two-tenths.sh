#!/usr/bin/env bash
# haproxy holds each event of a live HTTP response for two tenths of a second.
#
# Guess:   haproxy forwards what the server writes at once. It has no buffering of responses to switch off, and it forwards
#          WebSocket messages at once.
# Happens: as long as a response may go on, haproxy says to the kernel that more data follows, and Linux waits 200 ms for it.
#          Each event of server-sent events arrives 200 ms late, the header of the response too when an event comes with it.
#          `option http-no-delay` cures it. A complete response and a WebSocket message arrive at once.
# Matters: each chat of a live stream is 200 ms late, while health checks, requests and WebSockets are fast. A page on
#          deployment has to name the option for event streams.
# Seen:    2026-12-01, haproxy 2.6.12 (Debian 12), ws 8.23.0, Linux.
. "$(dirname "$0")/common.sh"

npm_packages ws@8.23.0
debian_packages 'haproxy=2.6.12-*' 'liblua5.3-0=5.3.6-*' libopentracing-c-wrapper0 libopentracing1

export SERVER_PORT HAPROXY_PORT NO_DELAY_PORT
SERVER_PORT=$(free_port) HAPROXY_PORT=$(free_port) NO_DELAY_PORT=$(free_port)

cat >"$work/haproxy.cfg" <<CONF
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen chat
  bind 127.0.0.1:$HAPROXY_PORT
  server chat 127.0.0.1:$SERVER_PORT
listen chat_no_delay
  bind 127.0.0.1:$NO_DELAY_PORT
  option http-no-delay
  server chat 127.0.0.1:$SERVER_PORT
CONF
"$debian/usr/sbin/haproxy" -f "$work/haproxy.cfg" 2>>"$work/log" &
listening "$HAPROXY_PORT" "$NO_DELAY_PORT"

cat >"$work/run.mjs" <<'JS'
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';

const { SERVER_PORT, HAPROXY_PORT, NO_DELAY_PORT } = process.env;
const EVENTS = 7;

/** Each message is the time at which the server wrote it. */
function write(send, end) {
  let sent = 0;
  const timer = setInterval(() => {
    send(performance.now());
    if (++sent < EVENTS) return;
    clearInterval(timer);
    end();
  }, 500);
}

const server = createServer((request, response) => {
  if (request.url === '/answer') return response.end(`${performance.now()}`);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  write((time) => response.write(`data: ${time}\n\n`), () => response.end());
});
new WebSocketServer({ server }).on('connection', (peer) => write((time) => peer.send(`${time}`), () => peer.close()));
await once(server.listen(SERVER_PORT, '127.0.0.1'), 'listening');

function shown(delays) {
  const median = delays.sort((a, b) => a - b)[Math.floor(delays.length / 2)];
  if (median < 100) return 'at once';
  return median > 150 && median < 300 ? '200 ms late' : `${median} ms late`;
}

async function events(port) {
  const delays = [];
  const [response] = await once(get({ host: '127.0.0.1', port, path: '/events', agent: false }), 'response');
  for await (const bytes of response) delays.push(performance.now() - Number(/data: (\S+)/.exec(bytes)[1]));
  return shown(delays);
}

async function messages(port) {
  const delays = [];
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  client.on('message', (text) => delays.push(performance.now() - Number(text)));
  await once(client, 'close');
  return shown(delays);
}

async function answers(port) {
  const delays = [];
  for (let asked = 0; asked < EVENTS; asked++) {
    const [response] = await once(get({ host: '127.0.0.1', port, path: '/answer', agent: false }), 'response');
    for await (const bytes of response) delays.push(performance.now() - Number(bytes));
  }
  return shown(delays);
}

console.log('direct, events:                 ', await events(SERVER_PORT));
console.log('haproxy, events:                ', await events(HAPROXY_PORT));
console.log('haproxy, complete answers:      ', await answers(HAPROXY_PORT));
console.log('haproxy, WebSocket:             ', await messages(HAPROXY_PORT));
console.log('haproxy, http-no-delay, events: ', await events(NO_DELAY_PORT));
process.exit();
JS

see node run.mjs
as_described <<'END'
direct, events:                  at once
haproxy, events:                 200 ms late
haproxy, complete answers:       at once
haproxy, WebSocket:              at once
haproxy, http-no-delay, events:  at once
END
