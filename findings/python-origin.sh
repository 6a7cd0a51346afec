#!/usr/bin/env bash
# Python's WebSocket client sends an Origin header: the server's own address.
#
# Guess:   only browsers send `Origin`. A server may refuse each origin that is not on its list, and let in requests without
#          one, since those come from programs.
# Happens: websocket-client, which python-socketio uses, makes an origin from the address that it connects to. The same
#          program sends none while it polls. A server that checks every request refuses the program when it asks for
#          `transports=['websocket']`. By default the program connects by polling, its upgrade is refused, and it goes on
#          polling without an error. python-websockets sends no origin.
# Matters: a list of origins is meant for pages of other sites. An origin with the same host as the request's `Host` is not
#          another site, so a server can let it in; or its docs tell programs how to send none.
# Seen:    2026-11-30, websocket-client 1.2.3, python-socketio 5.7.2, websockets 10.4 (Debian 12), socket.io 4.8.4.
. "$(dirname "$0")/common.sh"

npm_packages socket.io@4.8.4
debian_packages 'python3-socketio=5.7.2-*' 'python3-engineio=4.3.4-*' 'python3-bidict=0.22.1-*' 'python3-websocket=1.2.3-*' \
  'python3-requests=2.28.1+*' 'python3-urllib3=1.26.12-*' 'python3-charset-normalizer=3.0.1-*' python3-chardet python3-idna \
  python3-certifi python3-six 'python3-websockets=10.4-*'

cat >"$work/bot.py" <<'PY'
import os, sys, time, socketio

address, transports = sys.argv[1:]
bot = socketio.Client(reconnection=False)
try:
    bot.connect(address, transports=transports.split(','))
    time.sleep(1)
    print('connected by', bot.eio.transport())
except socketio.exceptions.ConnectionError as error:
    print('not connected:', error)
sys.stdout.flush()
os._exit(0)
PY

cat >"$work/other.py" <<'PY'
import asyncio, sys, websockets

async def main():
    async with websockets.connect(f'{sys.argv[1].replace("http", "ws")}/socket.io/?EIO=4&transport=websocket'):
        print('connected by websocket')

asyncio.run(main())
PY

cat >"$work/run.mjs" <<'JS'
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Server } from 'socket.io';

const run = promisify(execFile);
const ALLOWED = ['https://chat.example.org'];

async function connect(...command) {
  const origins = new Set();
  const server = new Server(0);
  // Every request, upgrades among them; `allowRequest` would see the first one only.
  server.engine.use(({ headers: { origin } }, response, next) => {
    origins.add(origin?.replace(/\d+$/, 'PORT') ?? 'none');
    next(origin === undefined || ALLOWED.includes(origin) ? undefined : new Error('origin not allowed'));
  });
  const [file, ...more] = command;
  const { stdout } = await run('/usr/bin/python3', [file, `http://127.0.0.1:${server.httpServer.address().port}`, ...more]);
  server.close();
  return `${stdout.trim()}; origins: ${[...origins].join(', ')}`;
}

console.log('python-socketio, websocket:', await connect('bot.py', 'websocket'));
console.log('python-socketio, default:  ', await connect('bot.py', 'polling,websocket'));
console.log('python-websockets:         ', await connect('other.py'));
process.exit();
JS

see node run.mjs
as_described <<'END'
python-socketio, websocket: not connected: Connection error; origins: http://127.0.0.1:PORT
python-socketio, default:   connected by polling; origins: none, http://127.0.0.1:PORT
python-websockets:          connected by websocket; origins: none
END
