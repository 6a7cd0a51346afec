// A server whose clients notice within a second that it says nothing: `node brisk-server.js FOLDER`.
import { createServer, openEmbedded } from '@engawa/server';
import { pino } from 'pino';

const store = await openEmbedded({ folder: process.argv[2] });
const server = createServer({
  store,
  settings: { port: 0, host: '127.0.0.1', origins: ['*'], limits: 'off', trustedProxies: 0 },
  log: pino({ level: 'silent' }),
  pingInterval: 400,
  pingTimeout: 400,
});
process.once('SIGTERM', () => void stop());
console.log(`listening on http://127.0.0.1:${await server.listen()}`);

async function stop() {
  await server.close();
  await store.close();
}
