/** Plain Socket.IO clients receive the same through this adapter as through Socket.IO's own: event by event, in order. */

import { createAdapter } from '@engawa/coalescing-adapter';
import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import type { ServerOptions } from 'socket.io';
import { Adapter } from 'socket.io-adapter';
import { describe, expect, test } from 'vitest';
import { runProgram, step } from './helpers/program.ts';
import { startServer } from './helpers/server.ts';

const servers: [string, Partial<ServerOptions>][] = [
  ['as servers are', {}],
  // Then a direct emit is a message to a room, too.
  ['with connection state recovery', { connectionStateRecovery: {} }],
  ['with compression', { perMessageDeflate: { threshold: 0 }, httpCompression: true }],
];

describe.each(servers)('%s', (_, options) => {
  test('random programs are received identically through either adapter', { timeout: 240_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), async (steps) => {
        const received = async (adapter: ServerOptions['adapter']): Promise<string[][]> => {
          const running = await startServer({ ...options, adapter });
          const all = await runProgram(running, steps);
          await running.close();
          return all;
        };
        expect(await received(createAdapter())).toEqual(await received(Adapter));
      }),
      { seed, numRuns: Number(process.env.RUNS || 40) },
    );
  });
});
