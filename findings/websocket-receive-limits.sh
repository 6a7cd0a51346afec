#!/usr/bin/env bash
# WebSocket clients end the connection over a message that is larger than they take, some from 256 KiB on.
#
# Guess:   limits of message size protect servers. A client takes what the server that it chose sends, a few megabytes at
#          least.
# Happens: each client has a limit of its own, no client tells it to the server, and the first larger message ends the
#          connection: Mojolicious at 256 KiB, websockets at 1 MiB, aiohttp at 4 MiB; websocket-client has none. A server
#          that answers "what I missed" with a megabyte, and some JSON around it, is just beyond the limit of websockets:
#          the bot reconnects, asks again and never catches up.
# Matters: the limit of an answer has to hold for the whole frame, its envelope included, and to stay below 1 MiB, and a client
#          has to be able to ask for less. A client that closes with 1009 says that the last message was too large for it:
#          a line in the log helps, since it looks like a network that fails.
# Seen:    2026-11-30, Mojolicious 9.31, websockets 10.4, aiohttp 3.8.4, tornado 6.2, websocket-client 1.2.3 (Debian 12),
#          with ws 8.23.0 as the server.
. "$(dirname "$0")/common.sh"

npm_packages ws@8.23.0
debian_packages 'libmojolicious-perl=9.31+*' 'python3-websockets=10.4-*' 'python3-websocket=1.2.3-*' 'python3-tornado=6.2*' \
  'python3-aiohttp=3.8.4-*' python3-multidict python3-yarl python3-aiosignal python3-frozenlist python3-async-timeout \
  python3-attr python3-charset-normalizer python3-idna

cat >"$work/mojolicious.pl" <<'PL'
use Mojo::UserAgent;
my $outcome;
my $agent = Mojo::UserAgent->new;
$agent->websocket($ARGV[0] => sub {
  my ($agent, $transaction) = @_;
  $transaction->on(message => sub { $outcome //= 'takes'; Mojo::IOLoop->stop });
  $transaction->on(finish => sub { $outcome //= 'closes'; Mojo::IOLoop->stop });
});
Mojo::IOLoop->start;
print $outcome;
PL

cat >"$work/bot.py" <<'PY'
import asyncio, sys

library, address = sys.argv[1:]

async def with_websockets():
    import websockets
    async with websockets.connect(address, close_timeout=0.2) as peer:
        try:
            return await peer.recv()
        except websockets.ConnectionClosed:
            return None

async def with_aiohttp():
    import aiohttp
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as peer:
        message = await peer.receive()
        return message.data if message.type == aiohttp.WSMsgType.TEXT else None

async def with_tornado():
    from tornado.websocket import websocket_connect
    peer = await websocket_connect(address)
    return await peer.read_message()

async def with_websocket_client():
    import websocket
    return websocket.create_connection(address).recv()

message = asyncio.run(globals()[f'with_{library}']())
print('takes' if message else 'closes', end='')
PY

cat >"$work/run.mjs" <<'JS'
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { WebSocketServer } from 'ws';

const run = promisify(execFile);
const perl = ['perl', `-I${process.env.DEBIAN}/usr/share/perl5`, 'mojolicious.pl'];
const python = (library) => ['/usr/bin/python3', 'bot.py', library];
const CLIENTS = {
  mojolicious: perl,
  websockets: python('websockets'),
  aiohttp: python('aiohttp'),
  tornado: python('tornado'),
  'websocket-client': python('websocket_client'),
};
const KIB = 1024;
const SIZES = {
  '255 KiB': 255 * KIB,
  '257 KiB': 257 * KIB,
  '1 MiB': KIB ** 2,
  'and one byte': KIB ** 2 + 1,
  '5 MiB': 5 * KIB ** 2,
};

async function outcome([command, ...more], bytes) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  server.on('connection', (peer) => {
    peer.on('error', () => {});
    peer.send('x'.repeat(bytes));
  });
  const { stdout } = await run(command, [...more, `ws://127.0.0.1:${server.address().port}`]);
  server.close();
  return stdout;
}

for (const [name, command] of Object.entries(CLIENTS)) {
  const outcomes = [];
  for (const [size, bytes] of Object.entries(SIZES)) outcomes.push(`${size}: ${await outcome(command, bytes)}`);
  console.log(`${name}: ${outcomes.join(', ')}`);
}
process.exit();
JS

DEBIAN="$debian" see node run.mjs
as_described <<'END'
mojolicious: 255 KiB: takes, 257 KiB: closes, 1 MiB: closes, and one byte: closes, 5 MiB: closes
websockets: 255 KiB: takes, 257 KiB: takes, 1 MiB: takes, and one byte: closes, 5 MiB: closes
aiohttp: 255 KiB: takes, 257 KiB: takes, 1 MiB: takes, and one byte: takes, 5 MiB: closes
tornado: 255 KiB: takes, 257 KiB: takes, 1 MiB: takes, and one byte: takes, 5 MiB: takes
websocket-client: 255 KiB: takes, 257 KiB: takes, 1 MiB: takes, and one byte: takes, 5 MiB: takes
END
