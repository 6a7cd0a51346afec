// Attacks with valid requests only, as many as possible.
import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS } from '@engawa/protocol';
import type { SocketIoClient } from '../../generator/socketio-client.ts';
import { BYSTANDER_ROOM } from '../bystanders.ts';
import { type Attack, type AttackContext, sessionOf } from './attack.ts';

const { connections: connectionsPerAddress } = LIMITS.perAddress;
const LARGE_TEXT = '部'.repeat(LIMITS.textCodePoints);
const ROOM = 'pages';

/** As many connections as one address may have, minus a few that the server may count differently. */
const connectAll = (context: AttackContext, count = connectionsPerAddress - 4): Promise<SocketIoClient[]> =>
  Promise.all(Array.from({ length: count }, () => context.connect()));

/** Sends requests in a loop on each connection, and reopens connections that the server has closed. */
async function askOnAll(
  context: AttackContext,
  ask: (client: SocketIoClient, loop: number, round: number) => Promise<unknown>,
): Promise<void> {
  const clients = await connectAll(context);
  await context.repeat(clients.length, async (loop, round) => {
    if (clients[loop]?.closeReason !== undefined) clients[loop] = await context.connect();
    await ask(clients[loop] as SocketIoClient, loop, round);
  });
}

async function prepareLargeRoom(context: AttackContext): Promise<void> {
  const client = await context.connect({ session: sessionOf('owner') });
  await context.ask(client, 'create:room', { roomId: ROOM, username: 'owner' });
  for (let each = 0; each < 6; each += 1) {
    const chats = Array.from({ length: 100 }, () =>
      context.ask(client, 'create:chat', { roomId: ROOM, username: 'owner', message: LARGE_TEXT }),
    );
    await Promise.all(chats);
  }
  client.end();
}

async function prepareRooms(context: AttackContext): Promise<void> {
  for (let each = 0; each < 2_000; each += 500) {
    const client = await context.connect();
    const rooms = Array.from({ length: 500 }, (_, room) => `room-${each + room}`);
    await Promise.all(rooms.map((roomId) => context.ask(client, 'create:room', { roomId, username: 'owner' })));
    client.end();
  }
}

export const floodAttacks: readonly Attack[] = [
  {
    name: 'unread-pages',
    what: 'The connections of one address ask seven times each for 500 large chats, and read nothing.',
    groups: [26, 80],
    holdsConnections: true,
    prepare: prepareLargeRoom,
    async run(context) {
      const clients = await connectAll(context);
      await Promise.all(clients.map((client, each) => context.ask(client, 'add:member', { roomId: ROOM, username: `reader-${each}` })));
      for (const client of clients) {
        client.stopReading();
        for (let each = 0; each < 7; each += 1) client.send(`42${each}["list:chats",{"roomId":"${ROOM}","limit":${LIMITS.pageMax}}]`);
      }
      await context.hold();
    },
  },
  {
    name: 'large-chats',
    what: 'The connections of one address, each in a room of its own, send chats as large and as many as they may.',
    groups: [75, 86],
    async run(context) {
      const rooms = new Set<number>();
      await askOnAll(context, async (client, loop) => {
        const member = { roomId: `large-${loop}`, username: 'x' };
        if (!rooms.has(loop)) await context.ask(client, 'create:room', member);
        rooms.add(loop);
        const answer = await context.ask(client, 'create:chat', { ...member, message: LARGE_TEXT });
        if (!answer.ok) await sleep(50);
      });
    },
  },
  {
    name: 'new-rooms',
    what: 'The connections of one address create rooms, and connect anew when they have created as many as they may.',
    groups: [79],
    run: (context) =>
      askOnAll(context, async (client, loop, round) => {
        const answer = await context.ask(client, 'create:room', { roomId: `new-${loop}-${round}`, username: 'x' });
        if (!answer.ok) client.end();
      }),
  },
  {
    name: 'chats-of-one-author',
    what: 'One author sends chats to one room over all connections of an address, of which only one has joined.',
    groups: [75],
    async run(context) {
      const session = sessionOf('author');
      const member = { roomId: 'author', username: 'author' };
      const clients = await Promise.all(Array.from({ length: connectionsPerAddress - 4 }, () => context.connect({ session })));
      const [first] = clients as [SocketIoClient];
      await context.ask(first, 'create:room', member);
      await context.repeat(clients.length, async (loop) => {
        const answer = await context.ask(clients[loop] as SocketIoClient, 'create:chat', { ...member, message: 'x' });
        if (!answer.ok) await sleep(50);
      });
    },
  },
  {
    name: 'joins-under-many-names',
    what: "The connections of one address join another member's room under as many names as they can.",
    groups: [76],
    run: (context) =>
      askOnAll(context, async (client, loop, round) => {
        const answer = await context.ask(client, 'add:member', { roomId: BYSTANDER_ROOM, username: `guest-${loop}-${round}` });
        if (!answer.ok) await sleep(20);
      }),
  },
  {
    name: 'list-rooms',
    what: 'The connections of one address list 500 of 2,000 rooms, as often as they may and more.',
    groups: [80],
    prepare: prepareRooms,
    run: (context) => askOnAll(context, (client) => context.ask(client, 'list:rooms', { limit: LIMITS.pageMax })),
  },
];
