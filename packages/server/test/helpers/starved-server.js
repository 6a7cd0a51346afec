// A server that logs to its standard output, and holds so much memory as its parent says: `node starved-server.js FOLDER`.
import { createServer, openStore } from '@engawa/server';
import { pino } from 'pino';

const [folder = ''] = process.argv.slice(2);
const { store } = await openStore(folder);
const server = createServer({
  store,
  settings: { port: 0, host: '127.0.0.1', allowedOrigins: ['*'], rateLimits: 'off', trustedProxies: 0 },
  log: pino({ level: 'info' }, pino.destination({ fd: 1, sync: true })),
});
console.log(`listening on http://127.0.0.1:${await server.listen()}`);

/** @type {unknown[]} */
let held = [];
process.on('message', (megabytes) => {
  // An array of so many small numbers is eight bytes each.
  held = Array.from({ length: Number(megabytes) }, () => Array.from({ length: 131_072 }, (_, each) => each + 0.5));
  process.send?.(held.length);
});
process.once(
  'SIGTERM',
  () =>
    void server
      .close()
      .then(() => store.close())
      .then(() => process.exit()),
);
