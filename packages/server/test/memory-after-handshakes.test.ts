/** The objects that a flood of handshakes leaves, counted after a forced collection; bytes are not measured. */
import { Agent, get } from 'node:http';
import { queryObjects } from 'node:v8';
import { LIMITS } from '@engawa/protocol';
import { connect, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { Socket as EngineSocket } from 'engine.io';
import { expect, test } from 'vitest';
import WebSocket from 'ws';

const HANDSHAKES = 3_000;
const AT_ONCE = 50;
/** Silent connections are closed soon. */
const QUICK = { pingInterval: 300, pingTimeout: 300 };

const connectionsAlive = (): number => queryObjects(EngineSocket, { format: 'count' });

/** Waits a while first, because counting takes long. */
async function gone(): Promise<void> {
  expect(connectionsAlive(), 'some were admitted').toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await until(() => connectionsAlive() === 0, 'nothing is left of them', 20_000);
}

async function polls(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve) => {
    get(`${url}/socket.io/?EIO=4&transport=polling`, { agent }, (response) => {
      response.resume().once('close', () => resolve(response.statusCode ?? 0));
    }).on('error', () => resolve(0));
  });
}

const upgrades = (url: string): Promise<number> =>
  new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    socket.on('error', () => undefined);
    socket
      .on('open', () => resolve(101))
      .on('unexpected-response', (request, { statusCode = 0 }) => {
        request.destroy();
        resolve(statusCode);
      });
    socket.on('close', () => resolve(0));
  });

/** Runs this number of loops concurrently; returns the numbers of answers by status. */
async function flood(count: number, ask: () => Promise<number>): Promise<Map<number, number>> {
  const answers = new Map<number, number>();
  let left = count;
  const loop = async () => {
    while (left > 0) {
      left -= 1;
      const status = await ask();
      answers.set(status, (answers.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, loop));
  return answers;
}

const floods: [string, (url: string) => Promise<Map<number, number>>][] = [
  [
    'polling',
    (url) => {
      const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
      return flood(HANDSHAKES, () => polls(url, agent)).finally(() => agent.destroy());
    },
  ],
  ['WebSocket', (url) => flood(10 * AT_ONCE, () => upgrades(url))],
];

test.each(floods)('a flood of %s handshakes from one address leaves no connection open', async (_, start) => {
  const { url } = await startServer(QUICK);
  expect(connectionsAlive()).toBe(0);
  const answers = await start(url);
  expect(answers.get(429), 'most were refused before a session was made').toBeGreaterThan(2 * LIMITS.perAddress.connections);
  await gone();
});

test('after a flood of handshakes the same address connects again', async () => {
  const { url } = await startServer({ ...QUICK, connectionRatePerAddress: 0 });
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const answers = await flood(10 * AT_ONCE, () => polls(url, agent));
  agent.destroy();
  expect(answers.get(429)).toBeGreaterThan(0);
  await gone();
  const aya = await connect(url);
  await requestOk(aya, 'create:room', { roomId: 'veranda', username: 'aya' });
});
