#!/usr/bin/env bash
# Socket.IO's client with `retries` and without `ackTimeout` sends every acknowledged message again.
#
# Guess:   `retries: 3` repeats what was not acknowledged. Without `ackTimeout` there is nothing to wait for, so a message that
#          the server acknowledges is sent once.
# Happens: with a timeout, an acknowledgement begins with an error or null. Without a timeout it does not, and the retries take
#          the server's answer for the error. Each message is sent four times although the server acknowledges each time.
#          In the end the promise is rejected with the server's answer.
# Matters: a chat appears four times in its room. A server needs an idempotency key for each message, and its docs have to say
#          that `retries` needs `ackTimeout`. A server that answers null hides the fault.
# Seen:    2026-11-30, socket.io-client 4.8.4, socket.io 4.8.4.
. "$(dirname "$0")/common.sh"

npm_packages socket.io@4.8.4 socket.io-client@4.8.4

cat >"$work/run.mjs" <<'JS'
import { Server } from 'socket.io';
import { io } from 'socket.io-client';

async function send(options, answer) {
  const server = new Server(0);
  let received = 0;
  server.on('connection', (socket) => {
    socket.on('chat', (text, acknowledge) => {
      received++;
      acknowledge(answer);
    });
  });
  const client = io(`http://127.0.0.1:${server.httpServer.address().port}`, { ...options, forceNew: true });
  const outcome = await client.emitWithAck('chat', 'hello').then(
    (value) => `resolved with ${JSON.stringify(value)}`,
    (reason) => `rejected with ${JSON.stringify(reason)}`,
  );
  client.close();
  server.close();
  return `received ${received} times, ${outcome}`;
}

console.log('neither:                ', await send({}, { ok: true }));
console.log('retries and ackTimeout: ', await send({ retries: 3, ackTimeout: 1000 }, { ok: true }));
console.log('retries alone:          ', await send({ retries: 3 }, { ok: true }));
console.log('retries alone, null:    ', await send({ retries: 3 }, null));
process.exit();
JS

see node run.mjs
as_described <<'END'
neither:                 received 1 times, resolved with {"ok":true}
retries and ackTimeout:  received 1 times, resolved with {"ok":true}
retries alone:           received 4 times, rejected with {"ok":true}
retries alone, null:     received 1 times, resolved with undefined
END
