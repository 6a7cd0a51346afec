#!/usr/bin/env bash
# The Python client drops its connection when one answer to a poll holds more than sixteen packets.
#
# Guess:   a server of Socket.IO writes all packets that wait for a client into the answer to its next poll, and the client
#          takes them. The known error "Too many packets in payload" of python-engineio protects its server.
# Happens: its client decodes with the same limit. It drops an answer of seventeen packets as a whole, and the connection with
#          it. The program sees `disconnect` and no error. The client reconnects by itself; a server that tells it again
#          what it missed drops it again, for ever. Over a WebSocket, where each frame is one packet, all is well.
# Matters: clients behind a proxy without WebSockets poll for good. A server that tells clients what they missed has to write
#          at most sixteen packets into one answer; the rest goes into the next, which is asked for at once.
# Seen:    2026-11-30, python-socketio 5.7.2 with python-engineio 4.3.4 (Debian 12), socket.io 4.8.4. The first packet of a
#          burst goes out with the poll that waits, so a burst of eighteen brings an answer of seventeen.
. "$(dirname "$0")/common.sh"

npm_packages socket.io@4.8.4
debian_packages 'python3-socketio=5.7.2-*' 'python3-engineio=4.3.4-*' 'python3-bidict=0.22.1-*' 'python3-websocket=1.2.3-*' \
  'python3-requests=2.28.1+*' 'python3-urllib3=1.26.12-*' 'python3-charset-normalizer=3.0.1-*' python3-chardet python3-idna \
  python3-certifi python3-six

cat >"$work/bot.py" <<'PY'
import os, sys, time, socketio

address, transport = sys.argv[1:]
heard = set()
connections = 0
bot = socketio.Client(reconnection_delay=0.2, reconnection_delay_max=0.2, randomization_factor=0)

@bot.event
def connect():
    global connections
    connections += 1

@bot.on('chat')
def chat(number):
    heard.add(number)

bot.connect(address, transports=[transport])
time.sleep(3)
print(len(heard), 'yes' if connections == 1 else 'no', flush=True)
os._exit(0)
PY

cat >"$work/run.mjs" <<'JS'
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Server } from 'socket.io';

const run = promisify(execFile);

// What a client missed is told as soon as it is back.
async function tell(chats, transport) {
  const server = new Server(0);
  server.on('connection', (socket) => {
    setTimeout(() => {
      for (let number = 1; number <= chats; number++) socket.emit('chat', number);
    }, 300);
  });
  const { stdout } = await run('/usr/bin/python3', ['bot.py', `http://127.0.0.1:${server.httpServer.address().port}`, transport]);
  server.close();
  const [heard, isStable] = stdout.trim().split(' ');
  return `${chats} chats told, ${heard} heard, connected all the time: ${isStable}`;
}

console.log('polling:  ', await tell(17, 'polling'));
console.log('polling:  ', await tell(18, 'polling'));
console.log('polling:  ', await tell(100, 'polling'));
console.log('websocket:', await tell(100, 'websocket'));
process.exit();
JS

see node run.mjs
as_described <<'END'
polling:   17 chats told, 17 heard, connected all the time: yes
polling:   18 chats told, 1 heard, connected all the time: no
polling:   100 chats told, 1 heard, connected all the time: no
websocket: 100 chats told, 100 heard, connected all the time: yes
END
