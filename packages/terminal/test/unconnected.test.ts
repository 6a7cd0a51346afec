// Tests of a missing connection: the address, the reason and advice are shown.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { createSelfSignedCertificate } from '@engawa/testkit/processes/certificates';
import { startServer, withTimeout } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { openChat } from './helpers/chat.ts';
import { runEngawa } from './helpers/scripting.ts';

async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const refusedAt = (port: number) => `http://127.0.0.1:${port}/: connect ECONNREFUSED 127.0.0.1:${port}. Is the server running there?`;

/** Servers with which a connection is impossible. */
async function wrongPlaces(): Promise<[url: string, says: RegExp][]> {
  const tls = await portOf(createTlsServer(await createSelfSignedCertificate()));
  const other = await portOf(createServer((_, response) => response.writeHead(404).end('nothing')));
  return [
    [`https://127.0.0.1:${tls}`, new RegExp(`https://127.0.0.1:${tls}/: self-signed certificate.* NODE_EXTRA_CA_CERTS`, 'i')],
    [`http://127.0.0.1:${other}/chatt`, new RegExp(`http://127.0.0.1:${other}/chatt: HTTP 404. Check the address and its path.`)],
  ];
}

test('the screen shows why there is no connection, during a join and in the chooser, until a server starts', async () => {
  const port = await closedPort();
  const url = `http://127.0.0.1:${port}`;
  const [aya, ben] = [openChat(url), openChat(url, { room: '', as: 'ben' })];
  await aya.waitForText(refusedAt(port));
  await ben.waitForText(refusedAt(port));
  await startServer({ port });
  await aya.waitForText('● connected', 20_000);
  await ben.waitForText('● connected', 20_000);
  expect(aya.screen().join('\n')).not.toContain('ECONNREFUSED');
});

test('on a narrow screen and in Japanese the reason is complete', async () => {
  const port = await closedPort();
  const url = `http://127.0.0.1:${port}`;
  const narrow = openChat(url, { columns: 40, rows: 16 });
  await narrow.waitForText(/ECONNREFUSED[\s\S]*running there\?/);
  const japanese = openChat(url, { args: ['--lang', 'ja'] });
  await japanese.waitForText('サーバーが動いているか');
});

test('the screen closes and prints the reason if a connection is impossible', async () => {
  for (const [url, says] of await wrongPlaces()) {
    const aya = openChat(url, { columns: 200 });
    expect(await withTimeout(aya.exited, 'the end', 20_000)).toMatchObject({ code: 1 });
    expect(aya.screen().join('\n')).toMatch(says);
    expect(aya.modes()).toMatchObject({ alternateScreen: false, cursorVisible: true });
  }
});

test('line mode and each subcommand print why there is no connection', async () => {
  const port = await closedPort();
  const url = `http://127.0.0.1:${port}`;
  const chat = runEngawa(['chat', 'veranda', '--server', url], { input: null });
  const send = runEngawa(['send', 'veranda', 'hello', '--server', url]);
  for (let times = 0; chat.lines().length < 2 && times < 200; times += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(chat.lines()).toEqual([`* ${url}/: no connection. Trying again; what you type is saved.`, `* ${refusedAt(port)}`]);
  await send.waitForStderr(`engawa: no connection to ${url}/; trying again\nengawa: ${refusedAt(port)}\n`);
  const read = runEngawa(['read', 'veranda', '--server', url, '--connect-timeout', '1500ms', '--quiet']);
  expect([await read.waitForExit(), read.stderr()]).toEqual([3, `engawa: no connection to ${refusedAt(port)}\n`]);
});

test('line mode and subcommands end if a connection is impossible', async () => {
  for (const [url, says] of await wrongPlaces()) {
    for (const args of [['chat', 'veranda'], ['send', 'veranda', 'hello'], ['rooms']]) {
      const run = runEngawa([...args, '--server', url], { input: null });
      expect(await run.waitForExit(20_000)).toBe(1);
      expect(run.stderr()).toMatch(says);
    }
  }
});
