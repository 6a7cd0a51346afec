// Attacks on connection admission: thousands of handshakes, foreign origins, forged addresses, reconnects.
import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS } from '@engawa/protocol';
import { type Attack, addressOf, atMost, sessionOf } from './attack.ts';
import { ORIGIN, POLLING } from './requests.ts';

const LOOPS = 50;
const { connections: connectionsPerAddress } = LIMITS.perAddress;

const HOSTILE_ORIGINS = [
  'https://evil.example',
  'null',
  `${ORIGIN}.evil.example`,
  `https://evil.example/${ORIGIN}`,
  ORIGIN.toUpperCase(),
  `${ORIGIN}.`,
  `${ORIGIN}:8443`,
  `${ORIGIN}, ${ORIGIN}`,
  '*',
];

export const handshakeAttacks: readonly Attack[] = [
  {
    name: 'polling-handshakes',
    what: 'One address opens polling sessions in 50 loops, and uses none of them.',
    groups: [9, 13],
    run: (context) => context.repeat(LOOPS, () => context.http({ path: POLLING })),
  },
  {
    name: 'websocket-handshakes',
    what: 'One address holds twice as many WebSockets as it may, and opens more in 50 loops.',
    groups: [9, 13],
    async run(context) {
      const held = await Promise.all(Array.from({ length: 2 * connectionsPerAddress }, () => context.open().catch(() => undefined)));
      await context.repeat(LOOPS, async (loop, round) => {
        const client = await context.open();
        await atMost(client.closed, 500);
        client.end();
        if (held[loop]?.closeReason !== undefined && round % 50 === 0) held[loop] = await context.open();
      });
    },
  },
  {
    name: 'stale-upgrades',
    what: 'A hundred addresses hold 10,000 WebSockets that never send CONNECT.',
    groups: [9],
    async run(context) {
      await context.repeat(100, async (loop, round) => {
        const client = await context.open({ localAddress: addressOf(loop) });
        // The server closes it after ten seconds. A client that disconnects before that would be no load.
        if (round % 100 === 99) await client.closed;
      });
    },
  },
  {
    name: 'reconnects',
    what: 'One address connects and leaves in 50 loops, with a valid session and with ones that are none.',
    groups: [13, 45],
    run: (context) =>
      context.repeat(LOOPS, async (loop) => {
        const client = await context.open();
        const session = loop % 2 === 0 ? sessionOf('reconnects') : 'no session';
        await client.connect({ session }).then(
          () => context.budget.accept(),
          () => undefined,
        );
        client.end();
      }),
  },
  {
    name: 'foreign-origins',
    what: 'Pages of other origins connect over both transports to a server with a list of origins.',
    groups: [1, 2],
    args: ['--allowed-origins', ORIGIN],
    run: (context) =>
      context.repeat(20, async (loop, round) => {
        const origin = HOSTILE_ORIGINS[round % HOSTILE_ORIGINS.length] as string;
        if (loop % 2 === 0) {
          const { status } = await context.http({ path: POLLING, headers: { origin, cookie: 'session=stolen' } });
          if (status === 200) context.budget.report(`the origin ${origin} may poll`);
          return;
        }
        const client = await context.open({ headers: [`Origin: ${origin}`, 'Cookie: session=stolen'] });
        context.budget.report(`the origin ${origin} may open a WebSocket`);
        client.end();
      }),
  },
  {
    name: 'forged-addresses',
    what: 'One client behind a trusted proxy is given another port with every request, and holds as many connections as it can.',
    groups: [15],
    args: ['--trusted-proxies', '1'],
    async run(context) {
      const held: unknown[] = [];
      await context.repeat(20, async () => {
        if (held.length > 1_000) return sleep(100);
        const client = await context.connect({ headers: [`X-Forwarded-For: 203.0.113.9:${40_000 + held.length}`] });
        held.push(client);
        context.budget.accept();
        if (held.length > connectionsPerAddress) context.budget.report('a port in X-Forwarded-For makes another address of one');
      });
    },
  },
];
