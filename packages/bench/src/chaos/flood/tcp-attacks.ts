// Attacks with TCP connections that send little, slowly, nothing, a part, or too much at once.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Attack, type AttackContext, addressOf, atMost } from './attack.ts';
import { POLLING, pollingSession, upgradeRequest, WEBSOCKET_KEY, WEBSOCKET_VERSION } from './requests.ts';

const LOOPS = 50;
const SLOW_CONNECTIONS = 500;
const BYTE_EVERY_MS = 1_000;

/** Partial requests and upgrades, followed by a reset. */
const CUT_REQUESTS = [
  'GET / HT',
  upgradeRequest([WEBSOCKET_KEY]).slice(0, -2),
  upgradeRequest([WEBSOCKET_KEY, WEBSOCKET_VERSION]),
  `POST ${POLLING} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n40`,
];

/** Opens and keeps connections from this many source addresses, each with this many. */
async function holdTcp(context: AttackContext, addresses: number, perAddress: number): Promise<void> {
  for (let each = 0; each < addresses * perAddress && !context.budget.isSpent; each += 1) {
    const socket = await context.tcp(addressOf(each % addresses));
    socket.resume();
  }
  await context.hold();
}

/** Sends the beginning of a request, and then a byte a second while the server accepts it. */
async function drip(context: AttackContext, head: string): Promise<void> {
  const socket = await context.tcp();
  socket.resume();
  socket.write(head);
  while (!context.budget.isSpent && !socket.destroyed) {
    socket.write('4');
    context.budget.spend(1);
    await sleep(BYTE_EVERY_MS);
  }
  socket.destroy();
}

export const tcpAttacks: readonly Attack[] = [
  {
    name: 'reset-requests',
    what: 'Requests and upgrades that are cut in the middle by a reset.',
    groups: [8],
    run: (context) =>
      context.repeat(LOOPS, async (_, round) => {
        const socket = await context.tcp();
        const request = CUT_REQUESTS[round % CUT_REQUESTS.length] ?? '';
        context.budget.spend(request.length);
        await new Promise<void>((resolve) => socket.write(request, () => resolve()));
        socket.resetAndDestroy();
      }),
  },
  {
    name: 'slow-requests',
    what: '500 connections send a request a byte a second: its headers, or the body of a polling POST.',
    groups: [10],
    async run(context) {
      const path = (await pollingSession(context)) ?? POLLING;
      const heads = ['GET / HTTP/1.1\r\nHost: x\r\nX: ', `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n`];
      await context.repeat(SLOW_CONNECTIONS, (loop) => drip(context, heads[loop % heads.length] ?? ''));
    },
  },
  {
    name: 'half-open-requests',
    what: 'One address opens 2,000 connections with half a request, of a server that may have 1,500 descriptors.',
    groups: [10, 11],
    descriptors: 1_500,
    async run(context) {
      for (let each = 0; each < 2_000 && !context.budget.isSpent; each += 1) {
        const socket = await context.tcp();
        socket.resume();
        socket.write('GET / HTTP/1.1\r\nHost: ');
      }
      await context.hold();
    },
  },
  {
    name: 'silent-connections',
    what: 'One address opens 5,000 TCP connections and sends nothing.',
    groups: [11],
    run: (context) => holdTcp(context, 1, 5_000),
  },
  {
    name: 'descriptors-used-up',
    what: 'Forty addresses open more TCP connections than the server may have descriptors: newcomers wait, members go on.',
    groups: [11],
    descriptors: 512,
    run: (context) => holdTcp(context, 40, 20),
  },
  {
    name: 'pipelined-requests',
    what: 'Ten connections pipeline requests for /health and read the answers.',
    groups: [13],
    run: (context) =>
      context.repeat(10, async () => {
        const socket = await context.tcp();
        socket.resume();
        const requests = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(500);
        while (!context.budget.isSpent && !socket.destroyed) {
          context.budget.spend(requests.length, 500);
          if (!socket.write(requests)) await atMost(new Promise((resolve) => socket.once('drain', resolve)), 1_000);
        }
      }),
  },
];
