#!/usr/bin/env bash
# With socket.io-msgpack-parser, a field that is undefined or a Date reaches a Python client as raw bytes.
#
# Guess:   MessagePack is a wire format like JSON, so a field that is undefined is left out, as with the default parser. A
#          Date is a timestamp of MessagePack, which Python decodes, or at least the text that JSON makes of it.
# Happens: the parser writes both as extension type 0, which is its own. JavaScript clients get undefined and a Date back.
#          python-socketio, with `serializer='msgpack'`, gives the program `ExtType(code=0, ...)`: a field that is "not set"
#          is present and true. An acknowledgement without a value is one too.
# Matters: an optional field of a chat that works with JSON, and with JavaScript over MessagePack, breaks programs in Python.
#          A server that offers MessagePack has to leave out undefined fields and send times as numbers or text.
# Seen:    2026-12-01, socket.io 4.8.4, socket.io-msgpack-parser 3.0.2; python-socketio 5.7.2 and msgpack 1.0.3 (Debian 12).
. "$(dirname "$0")/common.sh"

npm_packages socket.io@4.8.4 socket.io-client@4.8.4 socket.io-msgpack-parser@3.0.2
debian_packages 'python3-socketio=5.7.2-*' 'python3-engineio=4.3.4-*' 'python3-bidict=0.22.1-*' 'python3-websocket=1.2.3-*' \
  'python3-requests=2.28.1+*' 'python3-urllib3=1.26.12-*' 'python3-charset-normalizer=3.0.1-*' 'python3-msgpack=1.0.3-*' \
  python3-chardet python3-idna python3-certifi python3-six

cat >"$work/bot.py" <<'PY'
import os, sys, socketio

address, serializer = sys.argv[1:]
bot = socketio.Client(serializer=serializer)
bot.connect(address, transports=['websocket'])
chats = []
bot.on('chat', chats.append)
answer = bot.call('ready')
for name, value in chats[0].items():
    print(f'  {name}: {value!r}, {"set" if value else "not set"}')
print(f'  acknowledgement: {answer!r}', flush=True)
bot.disconnect()
os._exit(0)
PY

cat >"$work/run.mjs" <<'JS'
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';
import parser from 'socket.io-msgpack-parser';

const run = promisify(execFile);

for (const [name, options] of [['default', {}], ['msgpack', { parser }]]) {
  const server = new Server(0, options);
  server.on('connection', (socket) => {
    socket.on('ready', (acknowledge) => {
      socket.emit('chat', { text: 'hello', replyTo: undefined, at: new Date(0) });
      acknowledge(undefined);
    });
  });
  const address = `http://127.0.0.1:${server.httpServer.address().port}`;

  const client = io(address, { ...options, forceNew: true });
  client.on('chat', (chat) => console.log(`${name}, JavaScript:`, chat));
  await client.emitWithAck('ready');
  client.close();

  console.log(`${name}, Python:`);
  process.stdout.write((await run('/usr/bin/python3', ['bot.py', address, name])).stdout);
  server.close();
}
process.exit();
JS

see node run.mjs
as_described <<'END'
default, JavaScript: { text: 'hello', at: '1970-01-01T00:00:00.000Z' }
default, Python:
  text: 'hello', set
  at: '1970-01-01T00:00:00.000Z', set
  acknowledgement: None
msgpack, JavaScript: { text: 'hello', replyTo: undefined, at: 1970-01-01T00:00:00.000Z }
msgpack, Python:
  text: 'hello', set
  replyTo: ExtType(code=0, data=b'\x00'), set
  at: ExtType(code=0, data=b'\x00\x00\x00\x00\x00\x00\x00\x00'), set
  acknowledgement: ExtType(code=0, data=b'\x00')
END
