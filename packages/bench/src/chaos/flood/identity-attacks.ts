// Attacks on authorization: foreign rooms, racing removals, foreign idempotency keys, guessed sessions, hostile ids.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventName } from '@engawa/protocol';
import type { SocketIoClient } from '../../generator/socketio-client.ts';
import { BYSTANDER_NAMES, BYSTANDER_ROOM } from '../bystanders.ts';
import { type Attack, type AttackContext, addressOf } from './attack.ts';

const LOOPS = 20;
const [victim] = BYSTANDER_NAMES;
const foreign = { roomId: BYSTANDER_ROOM, username: victim };

/** Requests of a non-member, in the name of a member of the room. */
const TRESPASSES: readonly (readonly [EventName, object])[] = [
  ['create:chat', { ...foreign, message: 'not mine' }],
  ['update:chat', { ...foreign, chatSeq: 3, message: 'not mine' }],
  ['delete:chat', { ...foreign, chatSeq: 3 }],
  ['add:reaction', { ...foreign, chatSeq: 3, reaction: '👍' }],
  ['update:room', { ...foreign, topic: 'not mine' }],
  ['remove:member', foreign],
  ['delete:room', foreign],
  ['resume:rooms', { rooms: [{ ...foreign, epoch: 'x', seq: 0 }] }],
  ['start:typing', foreign],
  ['update:presence', { ...foreign, presence: 'away' }],
  ['mark:read', { ...foreign, seq: 1 }],
];

const HOSTILE_IDS = [
  ...['a::b', '{x}', '}{', 'room{1}{2}', '*', '[a-z]', '%0a', '../x', '__proto__', 'constructor', 'entry/1/chat', 'settings'],
  ...["'; DROP TABLE entries; --", '\r\n', 'a\u0000b', 'x'.repeat(10_000), 'é', 'e\u0301', 'ROOM', 'ｒｏｏｍ', 'ro\u200bom', ''],
];

async function trespass(context: AttackContext, client: SocketIoClient, round: number): Promise<void> {
  const [event, payload] = TRESPASSES[round % TRESPASSES.length] as (typeof TRESPASSES)[number];
  const answer = await client.ask(event, payload);
  const refused = !answer.ok || ('rooms' in answer && answer.rooms.every((room) => 'outcome' in room && room.outcome === 'refused'));
  if (refused) return;
  context.budget.accept();
  context.budget.report(`${event} was allowed to a client that is not a member`);
}

async function raceRemoval(context: AttackContext, owner: SocketIoClient, guest: SocketIoClient, roomId: string): Promise<void> {
  await context.ask(guest, 'add:member', { roomId, username: 'guest' });
  const chats = Array.from({ length: 5 }, (_, each) => guest.ask('create:chat', { roomId, username: 'guest', message: `${each}` }));
  const removal = await owner.ask('remove:member', { roomId, username: 'guest' });
  for (const answer of await Promise.all(chats)) {
    if (answer.ok && removal.ok && answer.seq > removal.seq) context.budget.report('a removed member has added a chat after the removal');
  }
}

export const identityAttacks: readonly Attack[] = [
  {
    name: 'guessed-sessions',
    what: 'Connections with guessed sessions, which must match no member.',
    groups: [57],
    run: (context) =>
      context.repeat(LOOPS, async (loop, round) => {
        const client = await context.connect({
          session: randomBytes(24).toString('base64url'),
          localAddress: addressOf(20 * round + loop),
        });
        await trespass(context, client, round);
        client.end();
      }),
  },
  {
    name: 'rooms-of-others',
    what: 'Every event, on a room that the client never joined, under the name of a member.',
    groups: [47, 50, 51, 52, 53],
    run: (context) =>
      context.repeat(LOOPS, async (loop) => {
        const client = await context.connect({ localAddress: addressOf(loop) });
        for (let round = loop; client.closeReason === undefined && !context.budget.isSpent; round += 1) {
          await trespass(context, client, round);
          await sleep(5);
        }
      }),
  },
  {
    name: 'removals-in-a-race',
    what: 'A member sends while the owner removes them, and rejoins again and again.',
    groups: [48],
    run: (context) =>
      context.repeat(10, async (loop) => {
        const roomId = `race-${loop}`;
        const owner = await context.connect({ localAddress: addressOf(2 * loop) });
        await context.ask(owner, 'create:room', { roomId, username: 'owner' });
        const guest = await context.connect({ localAddress: addressOf(2 * loop + 1) });
        while (!context.budget.isSpent && guest.closeReason === undefined) {
          await raceRemoval(context, owner, guest, roomId);
          await sleep(100);
        }
      }),
  },
  {
    name: 'idempotency-keys-of-others',
    what: 'Chats under the idempotency key of another author, and under the own one with another text.',
    groups: [54, 55],
    run: (context) =>
      context.repeat(10, async (loop) => {
        const roomId = `keys-${loop}`;
        const [owner, guest] = [
          await context.connect({ localAddress: addressOf(loop) }),
          await context.connect({ localAddress: addressOf(loop + 100) }),
        ];
        await context.ask(owner, 'create:room', { roomId, username: 'owner' });
        await context.ask(guest, 'add:member', { roomId, username: 'guest' });
        for (let round = 0; !context.budget.isSpent && guest.closeReason === undefined; round += 1) {
          const clientId = `key-${round}`;
          const mine = await context.ask(owner, 'create:chat', { roomId, username: 'owner', message: 'x', clientId });
          const theirs = await context.ask(guest, 'create:chat', { roomId, username: 'guest', message: 'x', clientId });
          if (mine.ok && theirs.ok && mine.seq === theirs.seq) context.budget.report("an author was given another author's result");
          await sleep(50);
        }
      }),
  },
  {
    name: 'hostile-ids',
    what: 'Rooms, names and idempotency keys that mean something to paths, patterns, scripts and prototypes.',
    groups: [58, 59, 62],
    run: (context) =>
      context.repeat(LOOPS, async (loop) => {
        const client = await context.connect({ localAddress: addressOf(loop) });
        for (let round = loop; client.closeReason === undefined && !context.budget.isSpent; round += 1) {
          const id = HOSTILE_IDS[round % HOSTILE_IDS.length] ?? '';
          await context.ask(client, 'create:room', { roomId: id, username: id });
          await context.ask(client, 'create:chat', { roomId: id, username: id, message: id, clientId: id });
          await context.ask(client, 'delete:room', { roomId: id, username: id });
          await sleep(10);
        }
      }),
  },
];
