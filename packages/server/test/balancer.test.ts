/** Polling clients behind a load balancer without sticky sessions. */
import { connect, newClient, nextEvent, startServer } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { pino } from 'pino';
import { expect, test } from 'vitest';

test('polling through a balancer without sticky sessions fails, and the log says why; a WebSocket connects', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line) => void lines.push(line) });
  const urls = [await startServer({ log }), await startServer({ log })].map(({ url }) => new URL(url));
  const proxy = await startProxy({ port: 1 });
  proxy.retarget(...urls.map(({ port }) => Number(port)));

  // Like a plain Socket.IO client, it polls first.
  const refusal = await nextEvent(newClient(proxy.url, { transports: ['polling', 'websocket'] }), 'connect_error');
  expect(refusal).toMatchObject({ message: 'xhr post error', description: 400 });
  expect(lines.join('')).toContain('the load balancer is not sticky');

  for (const _ of urls) await connect(proxy.url, { transports: ['websocket'] });
});
