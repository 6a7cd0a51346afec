// Attacks with payloads of valid packets: depth, size, wrong types, and expensive texts.
import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS } from '@engawa/protocol';
import { buildFrame, OPCODE } from '../websocket-frame.ts';
import { type Attack, type AttackContext, addressOf } from './attack.ts';

const LOOPS = 20;
const ROOM = 'payloads';
const arrays = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const objects = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const event = (name: string, payload: string): string => `427["${name}",${payload}]`;
const chat = (more: string): string => event('create:chat', `{"roomId":"${ROOM}","username":"x",${more}}`);

const DEEP: readonly string[] = [
  event('create:chat', arrays(5_000)),
  event('create:chat', objects(5_000)),
  event('create:chat', arrays(30_000)),
  chat(`"message":"x","more":${objects(5_000)}`),
  event('no:such', arrays(5_000)),
  `437[${arrays(5_000)}]`,
];

const BROAD: readonly string[] = [
  event('create:chat', `[${'1,'.repeat(29_999)}1]`),
  chat(`"message":"x",${Array.from({ length: 6_000 }, (_, each) => `"${each}":1`).join()}`),
  event('resume:rooms', `{"rooms":[${'{},'.repeat(19_000)}{}]}`),
  chat('"message":"x","__proto__":{"a":1},"constructor":{"prototype":{}},"toJSON":"x","then":{"then":"x"},"length":-1'),
];

const NUMBERS = ['1e999', '-1e999', '9007199254740993', '-0', '-1', '2.5', '"1"', '"10; DROP"', 'null', '[1]', '{"$gt":0}', 'true'];
const TEXTS = ['{"$ne":null}', '{"$gt":""}', '["room1","room2"]', '[]', 'true', 'null', '0'];
const WRONG_TYPES: readonly string[] = [
  ...NUMBERS.flatMap((number) =>
    ['limit', 'before', 'around'].map((field) => event('list:chats', `{"roomId":"${ROOM}","${field}":${number}}`)),
  ),
  ...TEXTS.flatMap((text) => ['roomId', 'username', 'message'].map((field) => chat(`"message":"x","${field}":${text}`))),
];

/** Names, reactions and chats with invisible or confusable characters. */
const HOSTILE_TEXTS: readonly string[] = [
  '\u200b',
  ' ',
  `a${'\u0301'.repeat(63)}`,
  'аyа',
  '\u2800',
  '\ue000',
  '\ufff9',
  '\ud800',
  '\u001b[2J',
];

/** Sends packets in turn, on connections that are replaced when the server closes them. */
function sendInTurn(context: AttackContext, packets: readonly string[]): Promise<void> {
  return context.repeat(LOOPS, async (loop) => {
    const client = await context.connect({ localAddress: addressOf(loop) });
    for (let round = loop; client.closeReason === undefined && !context.budget.isSpent; round += 1) {
      client.send(packets[round % packets.length] ?? '');
      if (round % 8 === 7) await sleep(2);
    }
  });
}

export const payloadAttacks: readonly Attack[] = [
  {
    name: 'deep-payloads',
    what: 'Payloads of 5,000 to 30,000 levels.',
    groups: [38],
    run: (context) => sendInTurn(context, DEEP),
  },
  {
    name: 'broad-payloads',
    what: 'Payloads of 30,000 elements, of 6,000 keys, and of keys that mean something to the language.',
    groups: [39, 40],
    run: (context) => sendInTurn(context, BROAD),
  },
  {
    name: 'wrong-types',
    what: 'Numbers that are none, and objects and arrays where a text is due.',
    groups: [41, 42, 43],
    run: (context) => sendInTurn(context, WRONG_TYPES),
  },
  {
    name: 'binary-payloads',
    what: 'Attachments where a text is due.',
    groups: [44],
    run: (context) =>
      context.repeat(LOOPS, async (loop) => {
        const client = await context.connect({ localAddress: addressOf(loop) });
        const attachment = buildFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(30_000, loop) });
        while (client.closeReason === undefined && !context.budget.isSpent) {
          client.send(`451-7["create:chat",{"roomId":{"_placeholder":true,"num":0}}]`);
          client.write(attachment);
          await sleep(5);
        }
      }),
  },
  {
    name: 'costly-characters',
    what: 'Fifty members send chats of 4,000 characters of which each costs six bytes as JSON.',
    groups: [66, 67],
    async run(context) {
      const message = '\u0001'.repeat(LIMITS.textCodePoints);
      await context.repeat(50, async (loop) => {
        const client = await context.connect({ localAddress: addressOf(loop) });
        const member = { roomId: `${ROOM}-${loop}`, username: 'x' };
        await context.ask(client, 'create:room', member);
        while (client.closeReason === undefined && !context.budget.isSpent) {
          await context.ask(client, 'create:chat', { ...member, message });
          await sleep(20);
        }
      });
    },
  },
  {
    name: 'hostile-names-and-reactions',
    what: 'Names, chats and reactions of invisible and confusable characters, in one room.',
    groups: [62, 63, 64, 65],
    async run(context) {
      await context.repeat(LOOPS, async (loop, round) => {
        const client = await context.connect({ localAddress: addressOf(loop) });
        const text = HOSTILE_TEXTS[round % HOSTILE_TEXTS.length] ?? '';
        const owner = { roomId: `${ROOM}-${loop}`, username: 'owner' };
        await context.ask(client, 'create:room', owner);
        await context.ask(client, 'add:member', { ...owner, username: text });
        const answer = await context.ask(client, 'create:chat', { ...owner, message: text });
        if (answer.ok) await context.ask(client, 'add:reaction', { ...owner, chatSeq: answer.seq, reaction: text });
        client.end();
      });
    },
  },
];
