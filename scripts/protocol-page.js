// Generates the tables of docs/protocol.md from the protocol. With --check it writes nothing and fails if the page is outdated.
// Text outside of the markers is written by hand.
import { readFileSync, writeFileSync } from 'node:fs';
import { commonErrors, connectErrors, errors, events, LIMITS, notices } from '@engawa/protocol';
import { z } from 'zod';

const PAGE = new URL('../docs/protocol.md', import.meta.url);

/** Fields that occur in this many places are described once, above the events. */
const COMMON = 5;

const typeOf = (schema) => {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(' or ');
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives) return alternatives.map(typeOf).join(', or ');
  if (schema.type === 'array') return `array of ${typeOf(schema.items)}`;
  if (schema.type === 'object') {
    const { required = [] } = schema;
    const members = Object.entries(schema.properties).map(([name, of]) => memberOf([required.includes(name) ? name : `${name}?`, of]));
    return `{ ${members.join(', ')} }`;
  }
  return schema.type ?? 'object';
};

/** The field with a single value decides which shape it is. */
const memberOf = ([name, schema]) => (schema.const === undefined ? name : `${name}: ${typeOf(schema)}`);

function fieldsOf(schema, io) {
  const { properties, required = [] } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return Object.entries(properties).map(([name, field]) => ({
    name: `${name}${required.includes(name) ? '' : '?'}`,
    row: rowOf(name, field),
    inside: rowsInside(name, field),
  }));
}

const rowOf = (name, field) =>
  `| \`${name}\` | ${typeOf(field)}${field.default === undefined ? '' : `, ${field.default} when not given`} | ${field.description ?? ''} |`;

/** The fields of an object with their paths, such as `chats[].message`. Several shapes in one place are described together. */
function rowsInside(way, field) {
  if (field.type === 'array') return rowsInside(`${way}[]`, field.items);
  return [field, ...(field.anyOf ?? []), ...(field.oneOf ?? [])].flatMap(({ properties = {} }) =>
    Object.entries(properties).flatMap(([name, inner]) => {
      const inside = { leaf: rowOf(name, inner), row: rowOf(`${way}.${name}`, inner) };
      return [...(inner.const === undefined || inner.description ? [inside] : []), ...rowsInside(`${way}.${name}`, inner)];
    }),
  );
}

const shapes = Object.entries(events).map(([name, { payload, response: reply, broadcast, ephemeral, ...event }]) => ({
  name,
  ...event,
  payload: fieldsOf(payload, 'input'),
  reply: fieldsOf(reply, 'output'),
  sent: (broadcast ?? ephemeral) && fieldsOf(broadcast ?? ephemeral, 'output'),
}));

const rows = shapes.flatMap(({ payload, reply, sent = [] }) => [...payload, ...reply, ...sent]).map(({ row }) => row);
const isCommon = (row) => rows.filter((each) => each === row).length >= COMMON;
const table = (all) => (all.length === 0 ? '' : `\n| field | type | |\n|---|---|---|\n${all.join('\n')}\n`);
const codes = (list) => list.map((code) => `\`${code}\``).join(', ');
const signature = (fields) => `\`{ ${fields.map(({ name }) => name).join(', ')} }\``;

const PERMITTED = {
  anyone: 'any client',
  reader: 'any client, except members whom the owner removed',
  member: 'members of the room, each under their own name',
  author: 'the member who wrote the chat, and the owner of the room',
  self: 'the member themselves, and the owner of the room',
  owner: 'the owner of the room',
};

function eventSection({ name, summary, payload, reply, sent, ...event }) {
  const { broadcastAs, errors: refusals, permission, rate, extraRate } = event;
  const all = [...payload, ...reply, ...(sent ?? [])];
  const outer = all.map(({ row }) => row);
  // A field that is described once is not described again for a deeper occurrence.
  const inner = all.flatMap(({ inside }) => inside).filter(({ leaf }) => !isCommon(leaf) && !outer.includes(leaf));
  const own = new Set([...outer.filter((row) => !isCommon(row)), ...inner.map(({ row }) => row)]);
  const lines = [
    `- permitted to ${PERMITTED[permission]}`,
    `- counts towards ${codes([rate, ...(extraRate ? [extraRate] : [])].map((each) => `limits.rates.${each}`))}`,
    `- request ${signature(payload)}`,
    `- response ${signature(reply)}`,
    ...(broadcastAs ? [`- each entry is broadcast as \`${broadcastAs}:success\``] : []),
    ...(sent?.length > 0 ? [`- broadcast ${signature(sent)}`] : []),
    ...(refusals.length > 0 ? [`- refused with ${codes(refusals)}`] : []),
  ];
  return `### \`${name}\`\n\n${summary}\n\n${lines.join('\n')}\n${table([...own])}`;
}

function noticeSection([name, { summary, payload }]) {
  const fields = fieldsOf(payload, 'output');
  return `### \`${name}\`\n\n${summary}\n\n- payload ${signature(fields)}\n${table(fields.map(({ row }) => row))}`;
}

const sections = {
  events: () => `${table([...new Set(rows.filter(isCommon))])}\n${shapes.map(eventSection).join('\n')}`,
  notices: () => Object.entries(notices).map(noticeSection).join('\n'),
  errors: () =>
    `| code | text | retryable |\n|---|---|---|\n${Object.entries(errors)
      .map(([code, { message, retryable }]) => `| \`${code}\` | ${message} | ${retryable ? 'yes' : 'no'} |`)
      .join('\n')}\n\nAny event may be refused with ${codes(commonErrors)}; a connection with ${codes(connectErrors)}.\n`,
  limits: () => {
    const { rates, perAddress, quotas, retention: _, ...sizes } = LIMITS;
    const all = [
      ...Object.entries(sizes).map(([name, value]) => `| \`${name}\` | ${value} |`),
      '| `retention` | what the operator set; by default there is none, and nothing is trimmed |',
      ...Object.entries(quotas).map(([name, limit]) => `| \`quotas.${name}\` | ${limit} |`),
      ...Object.entries(rates).map(([name, rate]) => `| \`rates.${name}\` | ${shown(rate)} |`),
      ...Object.entries(perAddress).map(([name, limit]) => `| \`perAddress.${name}\` | ${shown(limit)} |`),
    ];
    return `| limit | value |\n|---|---|\n${all.join('\n')}\n`;
  },
};

/** A rate limit or a number. */
function shown(limit) {
  if (typeof limit === 'number') return limit;
  const { burst, perSecond } = limit;
  const [unit, seconds] = [
    ['second', 1],
    ['hour', 3_600],
    ['day', 86_400],
  ].find(([, each]) => Number.isInteger(perSecond * each)) ?? ['second', 1];
  return `${burst} at once, ${perSecond * seconds} more a ${unit}`;
}

/** The page with all marked sections generated. */
function render(page) {
  return Object.entries(sections).reduce((text, [name, make]) => {
    const [begin, end] = [`<!-- ${name}: made from packages/protocol/src -->\n`, `<!-- end of ${name} -->`];
    const [before, rest] = text.split(begin);
    if (rest === undefined) throw new Error(`docs/protocol.md lacks the marker of ${name}`);
    return `${before}${begin}\n${make()}\n${end}${rest.split(end)[1]}`;
  }, page);
}

const page = readFileSync(PAGE, 'utf8');
const made = render(page);
if (!process.argv.includes('--check')) writeFileSync(PAGE, made);
else if (page !== made) throw new Error('docs/protocol.md does not say what the protocol does; run `npm run docs`');
