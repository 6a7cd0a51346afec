/** A process whose file descriptors run out: members continue, new clients are refused, it is logged once, and the process recovers. */
import { createConnection, type Socket as TcpSocket } from 'node:net';
import { connect, requestOk, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { startStarvedServer } from './helpers/starved-server.ts';

const FILES = 128;
const DROPPED = 'file descriptors';

const open = (url: string): TcpSocket => {
  const { hostname, port } = new URL(url);
  const socket = createConnection(Number(port), hostname).on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
};

test('with more connections than descriptors, members stay, new clients are refused, it is logged, and the server recovers', async () => {
  const { url, logLines, exitCode } = await startStarvedServer({ files: FILES });
  const aya = await connect(url);
  await requestOk(aya, 'create:room', { roomId: 'veranda', username: 'aya' });
  const group = Array.from({ length: 4 * FILES }, () => open(url));
  await until(() => logLines().some(({ msg }) => msg.includes(DROPPED)), 'it is logged');
  await expect(connect(url)).rejects.toThrow();

  const say = (message: string) => requestOk(aya, 'create:chat', { roomId: 'veranda', username: 'aya', message });
  await say('still here');
  expect((await requestOk(aya, 'list:chats', { roomId: 'veranda' })).chats).toHaveLength(1);
  expect(exitCode()).toBeNull();

  for (const socket of group) socket.destroy();
  await until(
    () =>
      connect(url).then(
        () => true,
        () => false,
      ),
    'new clients are admitted again',
  );
  await say('and again');
  const lines = logLines().filter(({ msg }) => msg.includes(DROPPED));
  expect(lines[0]).toMatchObject({ address: '127.0.0.1' });
  expect(lines.length).toBeLessThan(20);
});

test('connections leave enough descriptors for the store', async () => {
  const { url, logLines } = await startStarvedServer({ files: FILES });
  const group = Array.from({ length: 4 * FILES }, () => open(url));
  await until(() => logLines().some(({ msg }) => msg.includes(DROPPED)), 'they are used up');
  group[0]?.destroy();
  for (const socket of group.slice(1)) if (!socket.destroyed) socket.once('close', () => undefined);
  const { connections } = logLines().find(({ msg }) => msg.includes(DROPPED)) as unknown as { connections: number };
  expect(connections).toBeLessThanOrEqual(FILES - 64);
  expect(connections).toBeGreaterThan(16);
});
