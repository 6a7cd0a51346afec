/** A chat server that keeps everything in the Redis of the given URL, on a free port. */
import { createServer, openStore } from '@engawa/server';
import { pino } from 'pino';

const [url = ''] = process.argv.slice(2);
const log = pino({ level: 'error', base: null }, pino.destination(2));
const { store } = await openStore(url, { onError: (error) => log.error({ err: error }, 'the store') });
const server = createServer({
  store,
  settings: { port: 0, host: '127.0.0.1', origins: ['*'], limits: 'off', trustedProxies: 0, quotaRoomsPerSession: 0 },
  log,
});
console.log(`Engawa is listening on http://127.0.0.1:${await server.listen()}`);

async function stop(): Promise<never> {
  await server.close();
  await store.close();
  process.exit();
}
process.once('SIGTERM', () => void stop());
