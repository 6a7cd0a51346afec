// Attacks with Engine.IO and Socket.IO packets: malformed, out of order, and recovery packets.
import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS } from '@engawa/protocol';
import { buildFrame, OPCODE } from '../websocket-frame.ts';
import { type Attack, type AttackContext, atMost, sessionOf } from './attack.ts';

const LOOPS = 20;
const LIST = '["list:rooms",{}]';

/** Each is refused, ignored, or ends its own connection. */
const MALFORMED_PACKETS: readonly string[] = [
  ...['9', 'x', '', '4', `4${'9'.repeat(60_000)}`, '47["x"]', '44{}', '6', '3probe'],
  ...['42{}', '42null', '42[]', '42[null]', '42["list:rooms"', `42${LIST}x`, '42', '42["create:chat"]', '41{}'],
  ...['error', 'disconnect', 'connect_error', 'newListener', '', '__proto__'].map((name) => `42${JSON.stringify([name, {}])}`),
  ...[5, { toString: 'x' }, ['create:chat'], true].map((name) => `42${JSON.stringify([name, {}])}`),
  ...['1e308', '-1', '1.5', '0', '9'.repeat(400)].map((id) => `42${id}${LIST}`),
  ...['430[]', '4399999[{"ok":true}]', '43[]', '430{}'],
];

const ATTACHMENT_HEADERS: readonly string[] = [
  '450-["x"]',
  '4511-["x"]',
  '455999999999-["x"]',
  '451.5-["x"]',
  '45-["x"]',
  '4510-["create:chat",{"_placeholder":true,"num":9}]',
  ...['-1', '99', '"0"', '"splice"', 'null', '0.5'].map((num) => `451-["create:chat",{"_placeholder":true,"num":${num}}]`),
];

const STRAY_UPGRADES: readonly (readonly string[])[] = [
  ['2probe', '2probe', '5'],
  ['5'],
  ['2probe', `42${LIST}`],
  [`42${LIST}`],
  ['2probe', '9'],
];

/** Sends packets on a new client and waits a moment for their effect. */
async function provoke(context: AttackContext, packets: readonly string[]): Promise<void> {
  const client = await context.connect();
  for (const packet of packets) client.send(packet);
  await atMost(client.closed, 100);
  client.end();
}

const VISITOR = 'visitor';
const RESUMES_AT_ONCE = 5;
const roomName = (each: number): string => `room-${each}`;

/** Creates a session in this many rooms, each with this many chats. */
async function joinManyRooms(context: AttackContext, { rooms, chats }: { rooms: number; chats: number }): Promise<void> {
  const client = await context.connect({ session: sessionOf(VISITOR) });
  for (let each = 0; each < rooms; each += 1) {
    const roomId = roomName(each);
    await context.ask(client, 'create:room', { roomId, username: VISITOR });
    await Promise.all(
      Array.from({ length: chats }, (_, chat) => context.ask(client, 'create:chat', { roomId, username: VISITOR, message: `${chat}` })),
    );
  }
  client.end();
}

/** Creates a room whose newest page has the maximum size. */
async function fillOneRoom(context: AttackContext): Promise<void> {
  const client = await context.connect({ session: sessionOf(VISITOR) });
  const roomId = roomName(0);
  await context.ask(client, 'create:room', { roomId, username: VISITOR });
  const message = '部'.repeat(LIMITS.textCodePoints);
  await Promise.all(Array.from({ length: 200 }, () => context.ask(client, 'create:chat', { roomId, username: VISITOR, message })));
  client.end();
}

/** Sends several resume requests at once on each connection, and waits for the responses before the next ones. */
async function resumeAgainAndAgain(context: AttackContext, loops: number, rooms: readonly object[]): Promise<void> {
  await context.repeat(loops, async () => {
    const client = await context.connect({ session: sessionOf(VISITOR) });
    while (client.closeReason === undefined && !context.budget.isSpent) {
      const asked = Array.from({ length: RESUMES_AT_ONCE }, () => context.ask(client, 'resume:rooms', { rooms: rooms as never }));
      await Promise.all(asked);
    }
  });
}

export const packetAttacks: readonly Attack[] = [
  {
    name: 'malformed-packets',
    what: 'Packets of unknown types, without content, with wrong names, data and numbers, one a connection.',
    groups: [28, 32, 33, 34],
    run: (context) => context.repeat(LOOPS, (_, round) => provoke(context, [MALFORMED_PACKETS[round % MALFORMED_PACKETS.length] ?? ''])),
  },
  {
    name: 'undecodable-packets',
    what: 'Packets that cannot be decoded, one a connection from 20 addresses, each of which the server could log.',
    groups: [28, 33],
    run: (context) =>
      context.repeat(LOOPS, async (loop) => {
        const client = await context.connect({ localAddress: `127.8.1.${loop + 1}` });
        client.send('42{');
        await atMost(client.closed, 500);
        client.end();
      }),
  },
  {
    name: 'stray-upgrades',
    what: 'Upgrades from polling that probe twice, never, or send before they are done.',
    groups: [29],
    run: (context) =>
      context.repeat(LOOPS, async (_, round) => {
        const { body } = await context.http({ path: '/socket.io/?EIO=4&transport=polling' });
        const { sid } = JSON.parse(body.slice(1)) as { sid: string };
        const client = await context.openTransport({ query: `&sid=${sid}` });
        for (const packet of STRAY_UPGRADES[round % STRAY_UPGRADES.length] ?? []) client.send(packet);
        await atMost(client.closed, 200);
        client.end();
      }),
  },
  {
    name: 'attachments',
    what: 'Headers of binary packets that promise none, too many or wrong attachments, and attachments that fill what is waited for.',
    groups: [30, 31],
    run: (context) =>
      context.repeat(LOOPS, async (_, round) => {
        const client = await context.connect();
        client.send(ATTACHMENT_HEADERS[round % ATTACHMENT_HEADERS.length] ?? '');
        for (let each = 0; each < 9; each += 1) client.write(buildFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(60_000) }));
        await atMost(client.closed, 500);
        client.end();
      }),
  },
  {
    name: 'connect-packets',
    what: 'CONNECT packets by the thousand, to one namespace and to ten thousand, with any auth.',
    groups: [35, 36],
    run: (context) =>
      context.repeat(LOOPS, async (loop) => {
        const client = await context.open();
        for (let each = 0; each < 500; each += 1) client.send(loop % 2 === 0 ? '40' : `40/${each},{"session":[${each}]}`);
        await atMost(client.closed, 1_000);
        client.end();
      }),
  },
  {
    name: 'recoveries',
    what: 'Fifty loops connect with the id of a session in 286 rooms and an old offset, nine times on each connection.',
    groups: [37],
    prepare: (context) => joinManyRooms(context, { rooms: 286, chats: 3 }),
    run: (context) =>
      context.repeat(50, async () => {
        const client = await context.open();
        for (let each = 0; each < 9; each += 1) client.send(`40{"pid":"${sessionOf(VISITOR)}.x${each}","offset":"1"}`);
        await atMost(client.closed, 2_000);
        client.end();
      }),
  },
  {
    name: 'resume-one-room-often',
    what: 'Packets of resume:rooms that name one room of large chats 200 times, each with an epoch that is not its own.',
    groups: [37, 81],
    prepare: fillOneRoom,
    run: (context) =>
      resumeAgainAndAgain(
        context,
        5,
        Array.from({ length: LIMITS.roomsPerResume }, (_, each) => ({
          roomId: roomName(0),
          username: VISITOR,
          epoch: `epoch-${each}`,
          seq: 1,
        })),
      ),
  },
  {
    name: 'resume-refused-rooms',
    what: 'A session in 1,000 rooms resumes 200 of them under a name that is not its own.',
    groups: [37, 52],
    prepare: (context) => joinManyRooms(context, { rooms: LIMITS.roomsPerConnection, chats: 0 }),
    run: (context) =>
      resumeAgainAndAgain(
        context,
        5,
        Array.from({ length: LIMITS.roomsPerResume }, (_, each) => ({ roomId: roomName(each), username: 'someone', epoch: 'x', seq: 1 })),
      ),
  },
  {
    name: 'goes-on-after-refusals',
    what: 'A connection goes on after it was rate limited, with packets that cost the server work to refuse.',
    groups: [75],
    run: (context) =>
      context.repeat(5, async () => {
        const client = await context.connect();
        const packet = `427${JSON.stringify(['create:chat', { roomId: 'x', username: 'x', message: 'x'.repeat(3_000) }])}`;
        for (let round = 0; client.closeReason === undefined && !context.budget.isSpent; round += 1) {
          client.send(packet);
          if (round % 64 === 63) await sleep(1);
        }
      }),
  },
];
