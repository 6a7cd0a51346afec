// A server that says how much live memory it has, when it is asked over IPC: `node --expose-gc measured-server.js FOLDER [OPTIONS]`.
import { createServer, openStore } from '@engawa/server';
import { pino } from 'pino';

const [folder, options = '{}'] = process.argv.slice(2);
const { store } = await openStore(String(folder), {});
const { settings, ...others } = /** @type {Partial<import('@engawa/server').ServerOptions>} */ (JSON.parse(options));
const server = createServer({
  store,
  settings: { port: 0, host: '127.0.0.1', allowedOrigins: ['*'], rateLimits: 'on', trustedProxies: 0, ...settings },
  log: pino({ level: 'silent' }),
  ...others,
});

/** What is live after a forced collection, in and beside the heap. */
function liveBytes() {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

process.on('message', () => process.send?.({ live: liveBytes() }));
process.on('disconnect', () => process.exit());
process.send?.({ port: await server.listen() });
