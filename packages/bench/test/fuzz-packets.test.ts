// Mutated packets from a seed: the server survives them, and the fuzzer finds faults.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { seed } from '@engawa/testkit/seed';
import { Server } from 'socket.io';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fuzz } from '#chaos/fuzz/fuzz.js';
import { makeCase } from '#chaos/fuzz/fuzz-case.js';
import { expectedAck } from '#chaos/fuzz/packet.js';
import { runCase } from '#chaos/fuzz/run-case.js';

/** Packets of each; `npm run chaos -- fuzz` takes more. */
const SECONDS = 15;

test.each(['off', 'on'] as const)(
  `whatever packets come, the server goes on and answers, and two members are unharmed: limits %s (SEED=${seed})`,
  { timeout: 180_000 },
  async (rateLimits) => {
    const report = await fuzz({ folder: tmpdir(), seed, rateLimits, seconds: SECONDS, packets: Infinity });
    expect(report.faults).toEqual([]);
    expect(report.packets).toBeGreaterThan(1_000);
  },
);

test('the same seed and number give the same case, and others another one', () => {
  expect(makeCase(1, 7)).toEqual(makeCase(1, 7));
  expect(makeCase(1, 7)).not.toEqual(makeCase(1, 8));
  expect(makeCase(1, 7)).not.toEqual(makeCase(2, 7));
});

test('cases have all transports, and most of their packets must be answered', () => {
  const visits = Array.from({ length: 300 }, (_, number) => makeCase(seed, number).visits).flat();
  const packets = visits.flatMap((visit) => visit.packets);
  const owed = packets.filter((packet) => expectedAck(packet) !== undefined).length / packets.length;
  expect(new Set(visits.map(({ transport }) => transport))).toEqual(new Set(['websocket', 'polling', 'upgrade']));
  expect(visits.some(({ recover }) => recover)).toBe(true);
  expect(owed).toBeGreaterThan(0.5);
  expect(owed).toBeLessThan(0.95);
});

describe('a server with a forbidden behavior is detected', () => {
  /** A Socket.IO server that handles events as given. */
  async function startBroken(
    handle: (event: string, acknowledge: (answer: object) => void) => void,
  ): Promise<{ host: string; port: number }> {
    const http = createServer();
    const io = new Server(http);
    io.on('connection', (socket) =>
      socket.onAny((event: string, ...args: unknown[]) => {
        const acknowledge = args.at(-1);
        if (typeof acknowledge === 'function') handle(event, acknowledge as (answer: object) => void);
      }),
    );
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => io.close());
    return { host: '127.0.0.1', port: (http.address() as AddressInfo).port };
  }

  /** Of the first cases, those that fail. */
  async function faultsOf(target: { host: string; port: number }): Promise<string[]> {
    const results = await Promise.all(Array.from({ length: 20 }, (_, number) => runCase(target, makeCase(1, number), { deadline: 2_000 })));
    return results.flatMap(({ fault }) => fault ?? []);
  }

  test('when it answers nothing', async () => {
    expect(await faultsOf(await startBroken(() => undefined))).not.toEqual([]);
  });

  test('when it ignores one kind of request', async () => {
    const target = await startBroken((event, acknowledge) => event !== 'mark:read' && acknowledge({ ok: true }));
    expect((await faultsOf(target))[0]).toContain('requests were not answered');
  });

  test('but not when it answers all', async () => {
    expect(await faultsOf(await startBroken((_, acknowledge) => acknowledge({ ok: true })))).toEqual([]);
  });
});
