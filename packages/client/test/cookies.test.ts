/** Pages that send cookies, which a load balancer uses to send polling clients to the same server. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { startServer, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { openBrowser } from './helpers/browser.ts';

const SCRIPT = fileURLToPath(new URL('../../../node_modules/socket.io-client/dist/socket.io.min.js', import.meta.url));

async function startSite(): Promise<number> {
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>'));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

test('Chromium lets a page of a listed origin connect with its cookies, by polling, and no other page', async () => {
  const port = await startSite();
  const { url } = await startServer({ allowedOrigins: [`http://localhost:${port}`] });
  const context = await openBrowser();
  const page = await context.newPage();
  const connectFrom = async (host: string) => {
    await page.goto(`http://${host}:${port}/`);
    await page.addScriptTag({ path: SCRIPT });
    await page.evaluate(`
      window.outcome = '';
      window.socket = io(${JSON.stringify(url)}, { withCredentials: true, transports: ['polling'], reconnection: false });
      socket.on('connect', () => (outcome = 'connected')).on('connect_error', () => (outcome = 'refused'));
    `);
    await until(() => page.evaluate<boolean>('outcome !== ""'), 'an outcome', 20_000);
    return page.evaluate<string>('outcome');
  };
  expect(await connectFrom('localhost')).toBe('connected');
  expect(await connectFrom('chat.test')).toBe('refused');
});
