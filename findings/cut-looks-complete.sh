#!/usr/bin/env bash
# Behind nginx's default or Caddy, a response that the server could not finish arrives as a complete one.
#
# Guess:   a response without a length ends with a last, empty chunk. If the server ends in the middle, that chunk is
#          missing, each proxy cuts its own response, too, and the client sees an error.
# Happens: nginx asks in HTTP/1.0 unless `proxy_http_version 1.1` is set. There the end of the connection is the end of the
#          response, and nginx adds the last chunk for the client. Caddy 2.6.2 asks in HTTP/1.1, sees the cut, logs it, and
#          adds the last chunk all the same. haproxy and nginx with 1.1 cut theirs. With a Content-Length all of them do.
# Matters: an export of a room, line by line, that a crash ends early is a shorter export with status 200. A last line has to
#          say that it is the last. A client of server-sent events that stops at a clean end stops for good there.
# Seen:    2026-12-01, nginx 1.22.1, Caddy 2.6.2 and haproxy 2.6.12 (Debian 12), Node 20.20.
. "$(dirname "$0")/common.sh"

debian_packages 'nginx=1.22.1-*' 'caddy=2.6.2-*' \
  'haproxy=2.6.12-*' 'liblua5.3-0=5.3.6-*' libopentracing-c-wrapper0 libopentracing1

export SERVER_PORT NGINX_PORT NGINX_11_PORT CADDY_PORT HAPROXY_PORT
SERVER_PORT=$(free_port) NGINX_PORT=$(free_port) NGINX_11_PORT=$(free_port) CADDY_PORT=$(free_port) HAPROXY_PORT=$(free_port)

start_nginx <<CONF
server {
  listen 127.0.0.1:$NGINX_PORT;
  location / {
    proxy_pass http://127.0.0.1:$SERVER_PORT;
  }
}
server {
  listen 127.0.0.1:$NGINX_11_PORT;
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
	reverse_proxy 127.0.0.1:$SERVER_PORT
}
CONF
export HOME="$work" XDG_CONFIG_HOME="$work" XDG_DATA_HOME="$work"
"$debian/usr/bin/caddy" run --config "$work/Caddyfile" 2>>"$work/log" &

cat >"$work/haproxy.cfg" <<CONF
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen chat
  bind 127.0.0.1:$HAPROXY_PORT
  server chat 127.0.0.1:$SERVER_PORT
CONF
"$debian/usr/sbin/haproxy" -f "$work/haproxy.cfg" 2>>"$work/log" &
listening "$NGINX_PORT" "$NGINX_11_PORT" "$CADDY_PORT" "$HAPROXY_PORT"

cat >"$work/run.mjs" <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

const { SERVER_PORT, NGINX_PORT, NGINX_11_PORT, CADDY_PORT, HAPROXY_PORT } = process.env;
const LINES = ['{"id":1}\n', '{"id":2}\n', '{"id":3}\n'];

// The server ends after two of three lines.
const server = createServer(async (request, response) => {
  const length = request.url === '/length' ? { 'content-length': LINES.join('').length } : {};
  response.writeHead(200, { 'content-type': 'application/x-ndjson', ...length });
  response.write(LINES[0]);
  await wait(300);
  response.write(LINES[1]);
  await wait(300);
  response.destroy();
});
await once(server.listen(SERVER_PORT, '127.0.0.1'), 'listening');

async function exported(port, path) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return response.text().then(
    (text) => `complete, ${text.trim().split('\n').length} of ${LINES.length} lines`,
    () => 'error',
  );
}

const PORTS = [
  ['direct', SERVER_PORT],
  ['nginx', NGINX_PORT],
  ['nginx, HTTP/1.1', NGINX_11_PORT],
  ['caddy', CADDY_PORT],
  ['haproxy', HAPROXY_PORT],
];
for (const [name, port] of PORTS) {
  console.log(`${name}: ${await exported(port, '/')}; with a length: ${await exported(port, '/length')}`);
}
process.exit();
JS

see node run.mjs
as_described <<'END'
direct: error; with a length: error
nginx: complete, 2 of 3 lines; with a length: error
nginx, HTTP/1.1: error; with a length: error
caddy: complete, 2 of 3 lines; with a length: error
haproxy: error; with a length: error
END
