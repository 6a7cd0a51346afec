#!/usr/bin/env bash
# Behind nginx a server that restarts in half a second is away for ten, when its name has two addresses.
#
# Guess:   nginx answers 502 while nothing listens, and proxies the next request after that. `max_fails` and `fail_timeout`
#          concern groups of servers: `proxy_pass http://localhost:3000` names one server.
# Happens: nginx makes a group of a name with several addresses, and `localhost` has two where the hosts file has `::1`, too.
#          One request during the restart fails at both, which takes both out for ten seconds. nginx answers 502 ("no live
#          upstreams") to all requests without a try, while the server listens again. With 127.0.0.1 the next request works.
# Matters: clients that reconnect in those ten seconds are refused and back off further. The docs of a chat server have to name
#          an address in their lines for nginx, or set `max_fails=0`.
# Seen:    2026-11-30, nginx 1.22.1 (Debian 12). The group is written out here, since not every hosts file has `::1`; by hand
#          with `localhost` and such a file: the same.
. "$(dirname "$0")/common.sh"

debian_packages 'nginx=1.22.1-*'

export SERVER_PORT ONE_PORT TWO_PORT
SERVER_PORT=$(free_port) ONE_PORT=$(free_port) TWO_PORT=$(free_port)

start_nginx <<CONF
upstream localhost_with_two_addresses {
  server 127.0.0.1:$SERVER_PORT;
  server [::1]:$SERVER_PORT;
}
server {
  listen 127.0.0.1:$ONE_PORT;
  location / { proxy_pass http://127.0.0.1:$SERVER_PORT; }
}
server {
  listen 127.0.0.1:$TWO_PORT;
  location / { proxy_pass http://localhost_with_two_addresses; }
}
CONF
listening "$ONE_PORT" "$TWO_PORT"

cat >"$work/run.mjs" <<'JS'
import { createServer, get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

const { SERVER_PORT, ONE_PORT, TWO_PORT } = process.env;
const start = () => new Promise((resolve) => {
  const server = createServer((request, response) => response.end());
  server.listen(SERVER_PORT, '127.0.0.1', () => resolve(server));
});
const ask = (port) => new Promise((resolve, reject) => {
  get({ host: '127.0.0.1', port, agent: false }, (response) => resolve(response.resume().statusCode)).on('error', reject);
});
const say = async (when) => console.log(`${when} one address ${await ask(ONE_PORT)}, two addresses ${await ask(TWO_PORT)}`);

let server = await start();
await say('before:         ');
server.close();
server.closeAllConnections();
await say('in the restart: ');
await wait(500);
server = await start();
await say('at once after:  ');
await wait(7000);
await say('7 seconds after:');
await wait(6000);
await say('13 seconds after:');
process.exit();
JS

see node run.mjs
as_described <<'END'
before:          one address 200, two addresses 200
in the restart:  one address 502, two addresses 502
at once after:   one address 200, two addresses 502
7 seconds after: one address 200, two addresses 502
13 seconds after: one address 200, two addresses 200
END
