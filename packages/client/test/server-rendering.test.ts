/** A page that is rendered on a server: `connect()` at the top of a module opens nothing, and keeps no process alive. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';

const SDK = new URL('../dist/index.js', import.meta.url).href;
const page = (url: string, more = '') => `
  import { connect } from '${SDK}';
  const client = connect('${url}', { storage: { getItem: () => null, setItem() {}, removeItem() {} } });
  ${more}
  process.stdout.write(JSON.stringify([client.state, client.rooms.length]));`;

async function listening(): Promise<{ url: string; connections: () => number }> {
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => count };
}

function rendering(code: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill());
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text));
  return { child, shown: () => shown };
}

test('a process that connects and reads getters exits by itself, and opens no connection', async () => {
  const { url, connections } = await listening();
  const { child, shown } = rendering(page(url));
  const [code] = (await once(child, 'close')) as [number];
  expect([code, shown(), connections()]).toEqual([0, JSON.stringify(['connecting', 0]), 0]);
}, 10_000);

test.each(["client.on('error', () => {})", 'client.subscribe(() => {})', 'void client.listRooms()', 'client.sync()'])(
  'the connection starts with %s',
  async (more) => {
    const { url, connections } = await listening();
    rendering(page(url, more));
    await expect.poll(connections, { timeout: 8_000 }).toBeGreaterThan(0);
  },
  10_000,
);

test('a client that was closed before it started keeps no process alive, whatever is called then', async () => {
  const { url, connections } = await listening();
  const { child } = rendering(page(url, "await client.close(); client.on('error', () => {}); client.sync();"));
  const [code] = (await once(child, 'close')) as [number];
  expect([code, connections()]).toEqual([0, 0]);
}, 10_000);
