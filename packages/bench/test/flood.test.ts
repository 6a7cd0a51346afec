// The flood, short: each attack for a moment, and whether the flood notices what it does to a server.
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import type { Attack } from '#chaos/flood/attack.js';
import { attacks } from '#chaos/flood/attacks.js';
import { type FloodResult, failuresOf, floodWith } from '#chaos/flood/flood.js';

const SECONDS = 2;
const RECOVERY_SECONDS = 30;

/** `npm run chaos -- flood` runs all of them, and longer. */
const SHORT = [
  'silent-connections',
  'slow-requests',
  'polling-misuse',
  'endless-fragments',
  'ping-flood',
  'attachments',
  'connect-packets',
  'removals-in-a-race',
];

test.each(SHORT)(
  'a server survives %s, gives all memory back, and its members notice nothing but time',
  { timeout: 120_000 },
  async (name) => {
    const attack = attacks.find((each) => each.name === name) as Attack;
    const result = await floodWith(attack, { folder: tmpdir(), seconds: SECONDS, recoverySeconds: RECOVERY_SECONDS });
    expect(failuresOf(result)).toEqual([]);
    expect(result.report.requests).toBeGreaterThan(10);
    expect(result.bystanders.chats).toBeGreaterThan(1);
  },
);

test('the names of attacks are unique, and each has a description and its groups', () => {
  expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length);
  for (const { name, what, groups } of attacks) expect([name, what.endsWith('.'), groups.length > 0]).toEqual([name, true, true]);
});

const healthy: FloodResult = {
  attack: attacks[0] as Attack,
  server: 'alive',
  memoryBackAfter: 1,
  memoryBefore: { bytes: 0, sockets: 0 },
  memoryAfter: { bytes: 0, sockets: 0 },
  peakResidentBytes: 0,
  idleCpu: 0,
  bystanders: { receiveP50: 1, receiveP99: 1, ackP99: 1, chats: 10, newcomers: { admitted: 1, tried: 1 }, faults: [] },
  report: { requests: 1, accepted: 0, bytes: 0, findings: [] },
  log: { lines: 0, bytes: 0, tail: '' },
  dataBytes: 0,
};

test.each<[string, Partial<FloodResult>, string[]]>([
  ['a server that is alive, slow or not', { bystanders: { ...healthy.bystanders, receiveP99: 20_000 } }, []],
  ['a server that is gone', { server: 'exited', memoryBackAfter: Infinity }, ['the server has exited']],
  ['a server that hangs', { server: 'silent' }, ['the server does not answer']],
  ['memory that is not released', { memoryBackAfter: Infinity }, ['memory or sockets are not given back']],
  ['members that lost something', { bystanders: { ...healthy.bystanders, faults: ['lost'] } }, ['lost']],
  ['something that must never be', { report: { ...healthy.report, findings: ['never'] } }, ['never']],
])('%s is a failure', (_, seen, failures) => expect(failuresOf({ ...healthy, ...seen })).toEqual(failures));
