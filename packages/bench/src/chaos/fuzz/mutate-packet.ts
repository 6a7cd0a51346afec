// Mutates a packet below its JSON: type, number, namespace, attachments, single characters, and its frames.
import type { Packet } from './packet.ts';
import type { Random } from './random.ts';

const TYPES = ['40', '41', '43', '44', '45', '46', '47', '4', '0', '1', '2', '3', '5', '6', '9', '42/x,', '40/x,', 'b', ''];
const IDS = ['', '0', '-1', '1.5', '1e3', '007', '9'.repeat(17), '9'.repeat(400), '\u0661'];
const RAW_NUMBERS = ['1e999', '-1e999', '-0', '9'.repeat(400), '0.1e-400', '1E5'];
const CHARACTERS = ['"', '\\', '{', ']', ',', ':', '\u0000', '\x1e', '\ud83d', '7', ' '];

type Change = (random: Random, text: string) => Packet[];
const one = (data: string): Packet[] => [{ data }];

/** Mutations that usually keep the connection open. */
const mild: readonly Change[] = [
  (random, text) => one(text.replace(/^42\d*/, `42${random.pick(IDS.slice(0, 2))}`)),
  (random, text) => one(text.replace(/:\d+/, `:${random.pick(RAW_NUMBERS)}`)),
  (_, text) => one(text.replace('{', '{"roomId":{"$ne":null},"roomId":"veranda",')),
  (_, text) => [{ data: text }, { data: text }],
  () => one('437[{"ok":true}]'),
  (random, text) => one(text.replace(/\]$/, `,${JSON.stringify(random.pick([null, {}, [], 'x', 5]))}]`)),
  (_, text) => attached(text),
];

/** Mutations that usually end the connection. */
const fatal: readonly Change[] = [
  (random, text) => one(random.pick(TYPES) + text.slice(2)),
  (random, text) => one(text.replace(/^42\d*/, `42${random.pick(IDS)}`)),
  (random, text) => one(text.slice(0, random.int(text.length))),
  (random, text) => one(spliced(random, text, random.pick(CHARACTERS))),
  (random, text) => one(spliced(random, text, '').slice(1)),
  (random, text) => one(text + random.pick(CHARACTERS)),
  (random) => one(`45${random.pick(['0', '1', '11', '99999999', '1.5', '-1', ''])}-["create:chat",{"_placeholder":true,"num":0}]`),
  (random) => [{ data: Buffer.alloc(random.int(500), random.int(256)) }],
  (random, text) => [{ data: text, brokenFrame: { rsv: 1 + random.int(7) } }],
  (random, text) => [{ data: text, brokenFrame: { opcode: random.int(16) } }],
  (_, text) => [{ data: text, brokenFrame: { masked: false } }],
  (random, text) => [{ data: text, brokenFrame: { length: random.pick([0, 1, 125, 126, 65_535, 65_536, 65_537, 2 ** 40]) } }],
];

/** The same event as a binary packet with an attachment at a random place. */
function attached(text: string): Packet[] {
  const data = text
    .replace(/^42/, '451-')
    .replace(/"(?:message|username|roomId)":("[^"]*")/, (field, value: string) => field.replace(value, '{"_placeholder":true,"num":0}'));
  return data.includes('_placeholder') ? [{ data }, { data: Buffer.from('attachment') }] : one(text);
}

function spliced(random: Random, text: string, piece: string): string {
  const at = random.int(text.length);
  return text.slice(0, at) + piece + text.slice(at + random.int(3));
}

export const mutateMildly: Change = (random, text) => random.pick(mild)(random, text);
export const mutateFatally: Change = (random, text) => random.pick(fatal)(random, text);

/** The same packet in fragments, which does not change its meaning. */
export function fragmented(random: Random, packet: Packet): Packet {
  const length = Buffer.byteLength(packet.data);
  return { ...packet, fragments: Array.from({ length: 1 + random.int(6) }, () => random.int(Math.ceil(length / 3))) };
}
