// A server whose clients notice within a second that it is silent: `node fast-timers-server.js STORE [OPTIONS]`.
import { createServer, openStore } from '@engawa/server';
import { pino } from 'pino';

const [where, options = '{ "pingInterval": 400, "pingTimeout": 400 }'] = process.argv.slice(2);
const { store } = await openStore(where, { durability: process.env.ENGAWA_DURABILITY });
const server = createServer({
  store,
  settings: { port: 0, host: '127.0.0.1', allowedOrigins: ['*'], rateLimits: 'off', trustedProxies: 0 },
  log: pino({ level: 'silent' }),
  .../** @type {Partial<import('@engawa/server').ServerOptions>} */ (JSON.parse(options)),
});
process.once('SIGTERM', () => void stop());
console.log(`listening on http://127.0.0.1:${await server.listen()}`);

async function stop() {
  await server.close();
  await store.close();
}
