// Attacks with WebSocket frames: malformed, endless, oversized, compressed, never answered or never read.
import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS } from '@engawa/protocol';
import type { SocketIoClient } from '../../generator/socketio-client.ts';
import { buildFrame, OPCODE } from '../websocket-frame.ts';
import { type Attack, type AttackContext, atMost, sessionOf } from './attack.ts';

const LOOPS = 20;
const DEFLATE = ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'];
const { text, binary, continuation, close, ping, pong } = OPCODE;

const closeFrame = (code: number, reason: Buffer | string = ''): Buffer => {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return buildFrame({ opcode: close, payload: Buffer.concat([head, Buffer.from(reason)]) });
};

const MEANINGLESS: readonly Buffer[] = [
  buildFrame({ opcode: pong }),
  ...['3', '6', '43[]', '41/x,'].map((payload) => buildFrame({ payload })),
];

/** Each must end only its own connection. */
const MALFORMED_FRAMES: readonly Buffer[] = [
  ...[4, 2, 1].map((rsv) => buildFrame({ payload: '40', rsv })),
  ...[0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf].map((opcode) => buildFrame({ opcode })),
  buildFrame({ payload: '40', masked: false }),
  buildFrame({ opcode: ping, payload: Buffer.alloc(126) }),
  buildFrame({ opcode: ping, fin: false }),
  buildFrame({ opcode: continuation, payload: '40' }),
  Buffer.concat([buildFrame({ payload: '4', fin: false }), buildFrame({ payload: '40' })]),
  ...[[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5], [0xe3, 0x81]].map((bytes) => buildFrame({ opcode: text, payload: Buffer.from(bytes) })),
  ...[0, 999, 1004, 1005, 1006, 1015, 5_000, 65_535].map((code) => closeFrame(code)),
  buildFrame({ opcode: close, payload: Buffer.from([3]) }),
  closeFrame(1000, Buffer.from([0xff, 0xfe])),
];

const OVERSIZED_FRAMES: readonly Buffer[] = [
  buildFrame({ length: 2n ** 63n - 1n }),
  buildFrame({ length: 2n ** 63n }),
  buildFrame({ length: 2n ** 32n }),
  buildFrame({ length: LIMITS.frameBytes }),
  buildFrame({ length: LIMITS.frameBytes + 1 }),
  buildFrame({ opcode: binary, length: LIMITS.frameBytes + 1 }),
];

/** Opens a connection, writes the bytes and waits until the server closes it. */
async function provoke(context: AttackContext, bytes: Buffer, milliseconds: number): Promise<void> {
  const client = await context.open();
  client.write(bytes);
  await atMost(client.closed, milliseconds);
  client.end();
}

/** Writes repeatedly, as fast as the server reads. */
async function pour(context: AttackContext, client: SocketIoClient, bytes: Buffer): Promise<void> {
  for (let round = 0; client.closeReason === undefined && !context.budget.isSpent; round += 1) {
    client.write(bytes);
    await sleep(round % 16 === 15 ? 5 : 0);
  }
}

const ROOM = 'busy';
const SLEEPERS = 20;

async function joinRoom(context: AttackContext, username: string, session?: string): Promise<SocketIoClient> {
  const client = await context.connect(session === undefined ? {} : { session });
  await context.ask(client, 'add:member', { roomId: ROOM, username });
  return client;
}

async function prepareRoom(context: AttackContext): Promise<void> {
  const owner = await context.connect({ session: sessionOf('owner') });
  await context.ask(owner, 'create:room', { roomId: ROOM, username: 'owner' });
  owner.end();
}

/** Ten members that chat as fast as the rate limit allows. */
async function keepRoomBusy(context: AttackContext): Promise<void> {
  const senders = await Promise.all(Array.from({ length: 10 }, (_, each) => joinRoom(context, `sender-${each}`)));
  const message = '部'.repeat(LIMITS.textCodePoints);
  await context.repeat(senders.length, async (loop) => {
    await context.ask(senders[loop] as SocketIoClient, 'create:chat', { roomId: ROOM, username: `sender-${loop}`, message });
    await sleep(100);
  });
  for (const sender of senders) sender.end();
}

export const frameAttacks: readonly Attack[] = [
  {
    name: 'malformed-frames',
    what: 'Reserved bits and opcodes, frames without a mask, wrong control frames, text that is not UTF-8, and close codes that are none.',
    groups: [16, 17, 18, 22, 23],
    run: (context) =>
      context.repeat(LOOPS, (_, round) => provoke(context, MALFORMED_FRAMES[round % MALFORMED_FRAMES.length] as Buffer, 2_000)),
  },
  {
    name: 'endless-fragments',
    what: 'A message in endless fragments of one byte, and of none.',
    groups: [19],
    run: (context) =>
      context.repeat(LOOPS, async (loop) => {
        const client = await context.open();
        client.write(buildFrame({ payload: '4', fin: false }));
        const fragment = buildFrame({ opcode: continuation, payload: loop % 2 === 0 ? '2' : '', fin: false });
        await pour(context, client, Buffer.concat(Array.from({ length: 1_000 }, () => fragment)));
        client.end();
      }),
  },
  {
    name: 'frame-by-bytes',
    what: 'A frame of 64 KiB of which every byte comes in a packet of its own.',
    groups: [10, 20],
    run: (context) =>
      context.repeat(LOOPS, async () => {
        const client = await context.open();
        const bytes = buildFrame({ payload: `4${'2'.repeat(LIMITS.frameBytes - 1)}` });
        for (let at = 0; at < bytes.length && client.closeReason === undefined && !context.budget.isSpent; at += 1) {
          client.write(bytes.subarray(at, at + 1));
          await sleep(0);
        }
        client.end();
      }),
  },
  {
    name: 'oversized-frames',
    what: 'Frames that claim up to 2^63 bytes, and then silence.',
    groups: [21],
    run: (context) =>
      context.repeat(LOOPS, (_, round) => provoke(context, OVERSIZED_FRAMES[round % OVERSIZED_FRAMES.length] as Buffer, 300)),
  },
  {
    name: 'ping-flood',
    what: 'Ten thousands of WebSocket pings, whose pongs are not read.',
    groups: [24],
    run: (context) =>
      context.repeat(LOOPS, async () => {
        const client = await context.open();
        client.stopReading();
        await pour(
          context,
          client,
          Buffer.concat(Array.from({ length: 500 }, () => buildFrame({ opcode: ping, payload: Buffer.alloc(125) }))),
        );
        client.end();
      }),
  },
  {
    name: 'meaningless-frames',
    what: 'Pongs, and packets of a few bytes that mean nothing, by the ten thousand on 45 connections of one address.',
    groups: [24, 34],
    run: (context) =>
      context.repeat(45, async (_, round) => {
        const client = await context.connect();
        const each = MEANINGLESS[round % MEANINGLESS.length] as Buffer;
        await pour(context, client, Buffer.concat(Array.from({ length: 8_000 }, () => each)));
        client.end();
      }),
  },
  {
    name: 'compressed-frames',
    what: 'Frames that are marked as compressed, after compression was offered.',
    groups: [25],
    run: (context) =>
      context.repeat(LOOPS, async () => {
        const client = await context.open({ headers: DEFLATE });
        client.write(buildFrame({ rsv: 4, payload: Buffer.alloc(60_000, 0x55) }));
        await atMost(client.closed, 1_000);
        client.end();
      }),
  },
  {
    name: 'members-who-never-read',
    what: 'Twenty members of a busy room of large chats stop reading.',
    groups: [26],
    holdsConnections: true,
    prepare: prepareRoom,
    async run(context) {
      for (let each = 0; each < SLEEPERS; each += 1) (await joinRoom(context, `sleeper-${each}`)).stopReading();
      await keepRoomBusy(context);
    },
  },
  {
    name: 'unanswered-pings',
    what: 'A hundred clients connect and then neither read nor answer, as after a pulled cable.',
    groups: [27],
    holdsConnections: true,
    async run(context) {
      for (let each = 0; each < 100; each += 1) (await context.connect({ localAddress: `127.8.0.${each + 1}` })).stopReading();
      await context.hold();
    },
  },
];
