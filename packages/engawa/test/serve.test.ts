// Tests of `engawa serve` as a process: output, refusals and exit.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { runEngawa, runEngawaWithoutIpv6, startEngawaServer, waitUntilListening } from '@engawa/testkit/processes/engawa-command';
import { connect, createTempFolder, nextEvent, requestOk, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test, vi } from 'vitest';

test('serve prints its address, its data folder and what to try', async () => {
  const folder = createTempFolder();
  const { screen, url } = await startEngawaServer(folder);
  expect(screen()).toContain(`Engawa is listening on ${url}`);
  expect(screen()).toContain(`data    ${folder} (embedded store)`);
  expect(screen()).toContain(`npx engawa chat lobby --as you --server ${url}`);
  expect(await (await fetch(url)).text()).toContain('Engawa is running');
});

test.each(['SIGTERM', 'SIGINT'] as const)('on %s pending requests are stored and answered, and the exit code is 0', async (signal) => {
  const folder = createTempFolder();
  const { child, url, exit } = await startEngawaServer(folder);
  const aya = await connect(url);
  await requestOk(aya, 'create:room', { roomId: 'veranda', username: 'aya' });
  const received = nextEvent(aya, 'create:chat:success');
  aya.emit('create:chat', { roomId: 'veranda', username: 'aya', message: 'last words' });
  await received;
  child.kill(signal);
  expect(await exit()).toBe(0);
  const again = await startEngawaServer(folder);
  const ben = await connect(again.url);
  await requestOk(ben, 'add:member', { roomId: 'veranda', username: 'ben' });
  expect((await requestOk(ben, 'list:chats', { roomId: 'veranda' })).chats).toMatchObject([{ message: 'last words' }]);
});

test('a data folder that cannot be created is refused with a message', async () => {
  const refused = runEngawa('serve', '--port', '0', '--data-dir', '/proc/engawa/data');
  expect(await refused.exit()).toBe(1);
  expect(refused.screen()).toMatch(/^engawa: The data folder \/proc\/engawa\/data cannot be created: ENOENT[^\n]+\n$/);
});

test('a second server on the same folder is refused, and the first continues', async () => {
  const folder = createTempFolder();
  const first = await startEngawaServer(folder);
  const second = runEngawa('serve', '--port', '0', '--data-dir', folder);
  expect(await second.exit()).toBe(1);
  expect(second.screen()).toBe(
    `engawa: The data folder ${folder} is in use by another server; stop it first, or choose another folder (database is locked).\n`,
  );
  expect((await fetch(`${first.url}/ready`)).status).toBe(200);
});

const isReached = async (host: string, port: string): Promise<boolean> =>
  fetch(`http://${host}:${port}/health`).then(
    ({ ok }) => ok,
    () => false,
  );

test('without a host the server listens on IPv4 and IPv6', async () => {
  const { url } = await startEngawaServer(createTempFolder());
  const { hostname, port } = new URL(url);
  expect(hostname).toBe('localhost');
  expect(await isReached('127.0.0.1', port)).toBe(true);
  expect(await isReached('[::1]', port)).toBe(true);
});

test('on a machine without IPv6 the server starts and listens on IPv4', async () => {
  const { url } = await waitUntilListening(runEngawaWithoutIpv6('serve', '--port', '0', '--data-dir', createTempFolder()));
  const { port } = new URL(url);
  expect(await isReached('127.0.0.1', port)).toBe(true);
  expect(await isReached('[::1]', port)).toBe(false);
});

test.each([
  ['127.0.0.1', 'http://127.0.0.1:', '[::1]'],
  ['::1', 'http://[::1]:', '127.0.0.1'],
])('with --host %s the server listens only there and prints it', async (host, begin, other) => {
  const { url } = await startEngawaServer(createTempFolder(), '--host', host);
  expect(url).toContain(begin);
  expect(await isReached(new URL(url).hostname, new URL(url).port)).toBe(true);
  expect(await isReached(other, new URL(url).port)).toBe(false);
});

test('a port in use is reported in one line', async () => {
  const other = createServer().listen(0, '0.0.0.0');
  onTestFinished(() => void other.close());
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const server = runEngawa('serve', '--port', String(port), '--data-dir', createTempFolder());
  expect(await server.exit()).toBe(1);
  expect(server.screen()).toMatch(/^engawa: listen EADDRINUSE.*\n$/);
});

test('disabled rate limits are announced with a warning', async () => {
  const { screen } = await startEngawaServer(createTempFolder(), '--rate-limits', 'off');
  await until(() => screen().includes('WARNING: ENGAWA_RATE_LIMITS=off'), 'it warns');
});

test('an environment variable that is no setting is announced with a warning', async () => {
  const variables = { ENGAWA_HOTS: '::', ENGAWA_HOST: '127.0.0.1', ENGAWA_NAME: 'aya', ENGAWA_SERVICE_HOST: '10.0.0.1' };
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const server = await startEngawaServer(createTempFolder());
  const settings = runEngawa('settings');
  expect(await settings.exit()).toBe(0);
  for (const { screen } of [server, settings]) {
    await until(() => screen().includes('WARNING: there is no setting'), 'it warns');
    expect(screen().match(/^WARNING: there is no setting (\w+)/gm)).toEqual(['WARNING: there is no setting ENGAWA_HOTS']);
  }
});

test('a host without a persistent disk is announced with a warning', async () => {
  vi.stubEnv('K_SERVICE', 'chat');
  onTestFinished(() => void vi.unstubAllEnvs());
  const folder = createTempFolder();
  const { screen } = await startEngawaServer(folder);
  const warning = `WARNING: ${folder} is lost with all rooms when this instance of Cloud Run ends`;
  await until(() => screen().includes(warning), 'it warns');
});

test('invalid settings are reported with their own exit code', async () => {
  const wrong = runEngawa('sevre');
  expect(await wrong.exit()).toBe(2);
  expect(wrong.screen()).toContain('there is no "sevre"');
  const flag = runEngawa('serve', '--prot', '1');
  expect(await flag.exit()).toBe(1);
  expect(flag.screen()).toContain('--prot');
  for (const asked of [['--help'], ['help'], ['serve', '--help'], []]) {
    const help = runEngawa(...asked);
    expect(await help.exit()).toBe(0);
    expect(help.screen()).toContain('engawa serve');
  }
});

test('settings prints the effective values', async () => {
  const settings = runEngawa('settings', '--port', '81');
  expect(await settings.exit()).toBe(0);
  expect(settings.screen()).toMatch(/--port +PORT +81 +flag/);
});
