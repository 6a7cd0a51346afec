#!/usr/bin/env bash
# A reload of Caddy's configuration closes every WebSocket that goes through it, all at once.
#
# Guess:   a reload is graceful: open connections stay until they end, and new ones get the new configuration, as with nginx,
#          haproxy, Apache and lighttpd.
# Happens: Caddy closes all WebSockets at the moment of the reload, with code 1001, also when the change does not concern them.
#          The close frame that 2.6.2 writes to the server lacks its mask, so the server sees a protocol error and 1006. A
#          live HTTP response (server-sent events) goes on.
# Matters: a new site in the same Caddyfile disconnects a whole chat server in one moment. Clients have to spread their return,
#          and a server should not log an error for each.
# Seen:    2026-11-30, Caddy 2.6.2 and haproxy 2.6.12 (Debian 12), ws 8.23.0; nginx, Apache and lighttpd by hand.
. "$(dirname "$0")/common.sh"

npm_packages ws@8.23.0
debian_packages 'caddy=2.6.2-*' 'haproxy=2.6.12-*' 'liblua5.3-0=5.3.6-*' libopentracing-c-wrapper0 libopentracing1

export SERVER_PORT ADMIN_PORT CADDY_PORT HAPROXY_PORT OTHER_PORT
SERVER_PORT=$(free_port) ADMIN_PORT=$(free_port) CADDY_PORT=$(free_port) HAPROXY_PORT=$(free_port) OTHER_PORT=$(free_port)

cat >"$work/Caddyfile" <<CONF
{
	admin 127.0.0.1:$ADMIN_PORT
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
"$debian/usr/sbin/haproxy" -W -f "$work/haproxy.cfg" 2>>"$work/log" &
haproxy=$!
listening "$CADDY_PORT" "$HAPROXY_PORT"

# Beside the chat server, a new site.
cat >"$work/reload.sh" <<CONF
printf 'http://127.0.0.1:$OTHER_PORT {\n\trespond "another site"\n}\n' >>"$work/Caddyfile"
"$debian/usr/bin/caddy" reload --config "$work/Caddyfile" --address 127.0.0.1:$ADMIN_PORT
kill -USR2 $haproxy
CONF

cat >"$work/run.mjs" <<'JS'
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';

const { SERVER_PORT, CADDY_PORT, HAPROXY_PORT } = process.env;
const PROXIES = { caddy: CADDY_PORT, haproxy: HAPROXY_PORT };
const seen = {};

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const beat = setInterval(() => response.write(': beat\n\n'), 200);
  response.on('close', () => clearInterval(beat));
});
new WebSocketServer({ server }).on('connection', (peer, { url }) => {
  const events = seen[url.slice(1)];
  peer.on('error', ({ message }) => events.push(`server: ${message}`));
  peer.on('close', (code) => events.push(`server: ${code}`));
});
await once(server.listen(SERVER_PORT, '127.0.0.1'), 'listening');

const beats = {};
for (const [name, port] of Object.entries(PROXIES)) {
  seen[name] = [];
  const client = new WebSocket(`ws://127.0.0.1:${port}/${name}`);
  client.on('close', (code) => seen[name].push(`client: ${code}`));
  await once(client, 'open');
  get({ host: '127.0.0.1', port, agent: false }, (response) => response.on('data', () => (beats[name] = Date.now())));
}
await wait(1000);
const reloaded = Date.now();
execFileSync('bash', ['reload.sh'], { stdio: ['ignore', 'ignore', 'inherit'] });
await wait(2000);
for (const name of Object.keys(PROXIES)) {
  const sse = beats[name] > reloaded + 1500 ? 'goes on' : 'ended';
  console.log(`${name}: WebSocket ${seen[name].sort().join(', ') || 'open'}; event stream ${sse}`);
}
process.exit();
JS

see node run.mjs
as_described <<'END'
caddy: WebSocket client: 1001, server: 1006, server: Invalid WebSocket frame: MASK must be set; event stream goes on
haproxy: WebSocket open; event stream goes on
END
