// Mutates a JSON value in one place: type, number, text, keys or nesting.
import type { Random } from './random.ts';

type Json = unknown;
type Container = Record<string, Json> | Json[];

const nested = (depth: number, inner: Json = 1): Json =>
  depth === 0 ? inner : depth % 2 ? [nested(depth - 1, inner)] : { a: nested(depth - 1, inner) };

const VALUES: readonly Json[] = [
  ...[0, -0, -1, 1.5, 1e308, -1e308, 5e-324, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 + 2, -(2 ** 63), 500, 501],
  ...[null, true, false, [], {}, [[]], [null], { $ne: null }, { $gt: '' }, { toString: 'x' }, { length: -1 }],
  ...[{ length: { toString: 'x' } }, { length: { valueOf: 1 } }, { size: {} }, { length: 'x' }, { length: null }],
  ...['', ' ', '1', 'null', '__proto__', 'constructor', 'toString', '../x', '{x}', '*', "'; DROP TABLE entries; --", 'veranda', 'aya'],
  ...[
    '\u0000',
    '\ud800',
    '\udc00\ud800',
    '\u202e',
    '\u200b',
    '\ufeff',
    '\u2028',
    '\u001b[2J',
    'e\u0301',
    'a\u0301\u0323\u0307',
    '\u{e0041}',
  ],
  ...['x'.repeat(129), '😀'.repeat(33), 'x'.repeat(4_001), '部'.repeat(5_000), '\u0001'.repeat(2_000), `a${'\u0301'.repeat(63)}`],
  ...[nested(15), nested(17), nested(200), Array.from({ length: 1_000 }, () => 0)],
];
const KEYS = [
  '__proto__',
  'constructor',
  'toJSON',
  'then',
  'seq',
  'by',
  'role',
  'author',
  'roomId',
  'username',
  'message',
  'clientId',
  'limit',
  '',
];

/** A copy, because it may be mutated later. */
const valueFrom = (random: Random): Json => structuredClone(random.pick(VALUES));

const isContainer = (value: Json): value is Container => typeof value === 'object' && value !== null;

/** A random array or object inside the value, or the value itself. */
function anyContainer(random: Random, root: Container): Container {
  let found = root;
  for (;;) {
    const inner = Object.values(found).filter(isContainer);
    if (inner.length === 0 || random.chance(0.5)) return found;
    found = random.pick(inner);
  }
}

const setAt = (container: Container, key: string, value: Json): void => {
  // `__proto__` must become an own key.
  Object.defineProperty(container, key, { value, enumerable: true, configurable: true, writable: true });
};

/** An object may have a `toString` that is not a function. */
const asText = (value: Json): string => (isContainer(value) ? JSON.stringify(value) : String(value));

const changes: readonly ((random: Random, container: Container, key: string) => void)[] = [
  (random, container, key) => setAt(container, key, valueFrom(random)),
  (random, container, key) => setAt(container, key, valueFrom(random)),
  (_, container, key) => void Reflect.deleteProperty(container, key),
  (random, container) => setAt(container, random.pick(KEYS), valueFrom(random)),
  (_, container, key) => setAt(container, key, [Reflect.get(container, key)]),
  (_, container, key) => setAt(container, key, asText(Reflect.get(container, key))),
  (_, container, key) => setAt(container, key, Number.parseFloat(asText(Reflect.get(container, key)))),
  (random, container, key) => setAt(container, key, nested(1 + random.int(40), Reflect.get(container, key))),
  (random, container, key) => setAt(container, key, twisted(random, Reflect.get(container, key))),
  (random, container, key) => setAt(container, key, Reflect.get(container, random.pick(Object.keys(container)))),
];

/** A text with an invalid part, or a different number. */
function twisted(random: Random, value: Json): Json {
  if (typeof value === 'number') return random.pick([-value, value + 0.5, value * 1e9, value - 1, value + 1]);
  if (typeof value !== 'string') return valueFrom(random);
  const at = random.int(value.length + 1);
  const piece = random.pick(['\u0000', ' ', '\u200b', '\ud83d', '\u202e', '\n', 'A', '%00', '::', '\u0301', value]);
  return value.slice(0, at) + piece + value.slice(at);
}

/** May mutate the value itself; do not use it afterwards. */
export function mutateJson(random: Random, root: Json): Json {
  if (!isContainer(root) || random.chance(0.05)) return valueFrom(random);
  for (let times = 1 + random.int(2); times > 0; times -= 1) {
    const container = anyContainer(random, root);
    const keys = Object.keys(container);
    random.pick(changes)(random, container, keys.length > 0 ? random.pick(keys) : 'x');
  }
  return root;
}
