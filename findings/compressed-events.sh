#!/usr/bin/env bash
# Told to compress server-sent events, haproxy keeps the end of each until the next comes, and Caddy all until the last.
#
# Guess:   a proxy that compresses a live response flushes its compressor after what the server has written, as nginx does.
#          The event arrives whole.
# Happens: haproxy sends bytes for each event, but the last bits of them stay in the compressor. The client has most of the
#          event and not its final blank line, so it reports the event only when the next one comes, however long that
#          takes. `option http-no-delay` changes nothing; a `compression type` without text/event-stream does. Caddy 2.6.2
#          leaves event streams plain unless its `encode` matches them. If it does, no event arrives before the stream ends.
# Matters: haproxy compresses all types by default: the newest chat is missing until the next chat or heartbeat, and with a
#          heartbeat of 15 s each chat is up to 15 s late. Only clients that ask for gzip are concerned, such as browsers and
#          Node's fetch; with curl all looks well.
# Seen:    2026-12-01, haproxy 2.6.12, nginx 1.22.1, Caddy 2.6.2 (Debian 12), Node 20.20.
. "$(dirname "$0")/common.sh"

debian_packages 'haproxy=2.6.12-*' 'liblua5.3-0=5.3.6-*' libopentracing-c-wrapper0 libopentracing1 \
  'nginx=1.22.1-*' 'caddy=2.6.2-*'

export SERVER_PORT HAPROXY_PORT NO_DELAY_PORT TYPES_PORT NGINX_PORT CADDY_PORT CADDY_MATCH_PORT
SERVER_PORT=$(free_port) HAPROXY_PORT=$(free_port) NO_DELAY_PORT=$(free_port) TYPES_PORT=$(free_port)
NGINX_PORT=$(free_port) CADDY_PORT=$(free_port) CADDY_MATCH_PORT=$(free_port)

cat >"$work/haproxy.cfg" <<CONF
defaults
  mode http
  compression algo gzip
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
listen chat_types
  bind 127.0.0.1:$TYPES_PORT
  compression type text/html text/css text/javascript application/json
  server chat 127.0.0.1:$SERVER_PORT
CONF
"$debian/usr/sbin/haproxy" -f "$work/haproxy.cfg" 2>>"$work/log" &

start_nginx <<CONF
server {
  listen 127.0.0.1:$NGINX_PORT;
  gzip on;
  gzip_proxied any;
  gzip_types text/event-stream;
  location / {
    proxy_http_version 1.1;
    proxy_pass http://127.0.0.1:$SERVER_PORT;
  }
}
CONF

cat >"$work/Caddyfile" <<CONF
{
	admin off
	auto_https off
}
http://127.0.0.1:$CADDY_PORT {
	encode gzip
	reverse_proxy 127.0.0.1:$SERVER_PORT
}
http://127.0.0.1:$CADDY_MATCH_PORT {
	encode {
		gzip
		minimum_length 1
		match header Content-Type text/event-stream*
	}
	reverse_proxy 127.0.0.1:$SERVER_PORT
}
CONF
export HOME="$work" XDG_CONFIG_HOME="$work" XDG_DATA_HOME="$work"
"$debian/usr/bin/caddy" run --config "$work/Caddyfile" 2>>"$work/log" &
listening "$HAPROXY_PORT" "$NO_DELAY_PORT" "$TYPES_PORT" "$NGINX_PORT" "$CADDY_PORT" "$CADDY_MATCH_PORT"

cat >"$work/run.mjs" <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

const { SERVER_PORT, HAPROXY_PORT, NO_DELAY_PORT, TYPES_PORT, NGINX_PORT, CADDY_PORT, CADDY_MATCH_PORT } = process.env;

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
  response.write(': begins\n\n');
  server.emit('stream', response);
});
await once(server.listen(SERVER_PORT, '127.0.0.1'), 'listening');

const wholeIn = (text) => text.match(/^data: .*\n\n/gm)?.length ?? 0;

/** How many events the client has whole, a second after each event that the server writes. */
async function events(port) {
  const streaming = once(server, 'stream');
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'accept-encoding': 'gzip' } });
  const [response] = await streaming;
  let text = '';
  const collect = new WritableStream({ write: (part) => { text += part; } });
  const reading = answer.body.pipeThrough(new TextDecoderStream()).pipeTo(collect);
  const whole = [];
  for (const number of [1, 2, 3]) {
    response.write(`data: {"id":${number}}\n\n`);
    await wait(1000);
    whole.push(wholeIn(text));
  }
  response.end();
  await reading;
  const encoding = answer.headers.get('content-encoding') ?? 'plain';
  return `${encoding}, whole events after 1, 2, 3: ${whole.join(', ')}; in the end: ${wholeIn(text)}`;
}

const PORTS = [
  ['nginx', NGINX_PORT],
  ['caddy', CADDY_PORT],
  ['caddy, match', CADDY_MATCH_PORT],
  ['haproxy', HAPROXY_PORT],
  ['haproxy, http-no-delay', NO_DELAY_PORT],
  ['haproxy, compression type', TYPES_PORT],
];
for (const [name, port] of PORTS) console.log(`${name}: ${await events(port)}`);
process.exit();
JS

see node run.mjs
as_described <<'END'
nginx: gzip, whole events after 1, 2, 3: 1, 2, 3; in the end: 3
caddy: plain, whole events after 1, 2, 3: 1, 2, 3; in the end: 3
caddy, match: gzip, whole events after 1, 2, 3: 0, 0, 0; in the end: 3
haproxy: gzip, whole events after 1, 2, 3: 0, 1, 2; in the end: 3
haproxy, http-no-delay: gzip, whole events after 1, 2, 3: 0, 1, 2; in the end: 3
haproxy, compression type: plain, whole events after 1, 2, 3: 1, 2, 3; in the end: 3
END
