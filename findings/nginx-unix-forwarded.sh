#!/usr/bin/env bash
# nginx on a Unix socket writes `unix:` into X-Forwarded-For, where addresses stand.
#
# Guess:   a connection over a Unix socket has no address, so `$proxy_add_x_forwarded_for` leaves the header as it came, or
#          sends none. haproxy's `option forwardfor` does so.
# Happens: nginx appends the text `unix:`, or sends it alone. proxy-addr, which Express uses, takes `unix:` for the client's
#          address wherever proxies are named by their networks, since it is in none of them: also when the proxy before
#          nginx wrote the real address. By count it does so when nginx is the only proxy.
# Matters: limits and bans per address: all clients share one. A server has to step over an entry that is no address, as over a
#          trusted hop, and must never take it for a client's address.
# Seen:    2026-11-30, nginx 1.22.1 and haproxy 2.6.12 (Debian 12), proxy-addr 2.0.8.
. "$(dirname "$0")/common.sh"

npm_packages proxy-addr@2.0.8
debian_packages 'nginx=1.22.1-*' 'haproxy=2.6.12-*' 'liblua5.3-0=5.3.6-*' libopentracing-c-wrapper0 libopentracing1

export SERVER_PORT
SERVER_PORT=$(free_port)

start_nginx <<CONF
server {
  listen unix:$work/nginx.sock;
  location / {
    proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
    proxy_pass http://127.0.0.1:$SERVER_PORT;
  }
}
CONF

cat >"$work/haproxy.cfg" <<CONF
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
listen chat
  bind unix@$work/haproxy.sock
  option forwardfor
  server chat 127.0.0.1:$SERVER_PORT
CONF
"$debian/usr/sbin/haproxy" -f "$work/haproxy.cfg" 2>>"$work/log" &

cat >"$work/run.mjs" <<'JS'
import { existsSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import proxyAddress from 'proxy-addr';

const { SERVER_PORT } = process.env;

createServer((request, response) => {
  const { proxies, 'x-forwarded-for': header = 'none' } = request.headers;
  const byCount = proxyAddress(request, (address, hop) => hop < proxies);
  const byNetwork = proxyAddress(request, ['loopback']);
  response.end(`header ${header}; client by count ${byCount}, by network ${byNetwork}`);
}).listen(SERVER_PORT, '127.0.0.1');

async function ask(proxy, headers) {
  const socketPath = `${import.meta.dirname}/${proxy}.sock`;
  while (!existsSync(socketPath)) await wait(100);
  return new Promise((resolve, reject) => {
    get({ socketPath, headers, agent: false }, (response) => response.setEncoding('utf8').on('data', resolve)).on('error', reject);
  });
}

for (const proxy of ['nginx', 'haproxy']) {
  console.log(`${proxy} alone:`, await ask(proxy, { proxies: 1 }));
  console.log(`${proxy} behind another proxy:`, await ask(proxy, { proxies: 2, 'X-Forwarded-For': '203.0.113.9' }));
}
process.exit();
JS

see node run.mjs
as_described <<'END'
nginx alone: header unix:; client by count unix:, by network unix:
nginx behind another proxy: header 203.0.113.9, unix:; client by count 203.0.113.9, by network unix:
haproxy alone: header none; client by count 127.0.0.1, by network 127.0.0.1
haproxy behind another proxy: header 203.0.113.9; client by count 203.0.113.9, by network 203.0.113.9
END
