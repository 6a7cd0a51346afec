// A CPU profile, summed by the part of the program that was running.
import { expect, test } from 'vitest';
import { cpuShares } from '#profiling/cpu-profile.js';

const FRAMES = {
  root: ['(root)', ''],
  idle: ['(idle)', ''],
  collector: ['(garbage collector)', ''],
  stream: ['Writable.write', 'node:internal/streams/writable'],
  write: ['writeLatin1String', ''],
  payload: ['toPayload', 'file:///somewhere/packages/server/dist/domain/entry-payloads.js'],
  sort: ['sort', ''],
  parser: ['onevent', 'file:///somewhere/node_modules/socket.io-parser/build/cjs/index.js'],
  logger: ['f', 'file:///somewhere/node_modules/pino/pino.js'],
};
type Called = keyof typeof FRAMES;
const CALLS: Partial<Record<Called, Called[]>> = {
  root: ['idle', 'collector', 'stream', 'payload', 'parser', 'logger'],
  stream: ['write'],
  payload: ['sort'],
};
const idOf = (called: Called): number => Object.keys(FRAMES).indexOf(called);
const nodes = Object.entries(FRAMES).map(([name, [functionName = '', url = '']], id) => ({
  id,
  callFrame: { functionName, url },
  children: CALLS[name as Called]?.map(idOf),
}));

/** Samples in that order, each of which lasts so many microseconds. */
const profileOf = (...samples: [called: Called, us: number][]) => ({
  nodes,
  samples: [...samples.map(([called]) => idOf(called)), idOf('idle')],
  timeDeltas: [0, ...samples.map(([, us]) => us)],
});

test('each part has its share of the busy time, by the function that was running', () => {
  const shares = cpuShares(
    profileOf(['idle', 900], ['write', 100], ['payload', 50], ['idle', 500], ['collector', 50], ['stream', 100], ['payload', 100]),
  );
  expect(shares.get('writing to sockets')).toBe(0.25);
  expect(shares.get('domain')).toBe(0.375);
  expect(shares.get('garbage collector')).toBe(0.125);
  expect(shares.get("Node's JavaScript")).toBe(0.25);
  expect([...shares.values()].reduce((sum, share) => sum + share)).toBe(1);
});

test('a native function counts as its caller, and an unknown one as other', () => {
  const shares = cpuShares(profileOf(['sort', 100], ['logger', 100], ['parser', 200]));
  expect(shares.get('domain')).toBe(0.25);
  expect(shares.get('other')).toBe(0.25);
  expect(shares.get('Socket.IO')).toBe(0.5);
});
