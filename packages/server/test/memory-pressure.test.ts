/** A process whose memory runs out: members continue, new clients are refused, it is logged once, and the process recovers. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { connect, requestOk, until } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { startStarvedServer } from './helpers/starved-server.ts';

const HEAP = 128;
const BEGINS = 'memory is nearly used up';
const ENDS = 'memory is available again';

test('with a nearly full heap members continue, new clients are refused, it is logged once, and the server recovers', async () => {
  const { url, logLines, allocate, exitCode } = await startStarvedServer({ heap: HEAP });
  const handshake = () => fetch(`${url}/socket.io/?EIO=4&transport=polling`, { headers: { connection: 'close' } });
  const lines = (what: string) => logLines().filter(({ msg }) => msg.includes(what)).length;
  const aya = await connect(url);
  await requestOk(aya, 'create:room', { roomId: 'veranda', username: 'aya' });
  expect((await handshake()).status).toBe(200);

  await allocate(0.8 * HEAP);
  await until(() => lines(BEGINS) > 0, 'it is logged');
  const refused = await handshake();
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({ error: 'memory_low' });
  await expect(connect(url)).rejects.toThrow();
  await requestOk(aya, 'create:chat', { roomId: 'veranda', username: 'aya', message: 'still here' });
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect(exitCode()).toBeNull();

  await allocate(0);
  await until(async () => (await handshake()).status === 200, 'new clients are admitted again', 30_000);
  expect([lines(BEGINS), lines(ENDS)]).toEqual([1, 1]);
});

const NUMBERS = 'Array.from({ length: 56 }, () => Array.from({ length: 131_072 }, (_, each) => each + 0.5))';
const BUFFERS = 'Array.from({ length: 180 }, () => Buffer.alloc(2 ** 20, 1))';

/** Allocates memory, releases all of it, and does nothing more. */
const takes = (what: string) => `
  process.constrainedMemory = () => 256 * 2 ** 20;
  const { pino } = await import('pino');
  const { MemoryPressure } = await import('#limits/memory-pressure.js');
  const { RateLimitedLog } = await import('#logging/rate-limited-log.js');
  const pressure = new MemoryPressure(RateLimitedLog.wrap(pino({ level: 'silent' })), { check: 50, collect: 300 });
  const untilIt = async (isHigh) => { while (pressure.isHigh !== isHigh) await new Promise((done) => setTimeout(done, 50)); };
  let held = ${what};
  await untilIt(true);
  held = [];
  await untilIt(false);
  console.log('recovered', held.length);
`;

test.each([
  ['heap', NUMBERS],
  ['container', BUFFERS],
])('a process that has freed what filled its %s recovers, without an event that causes a collection', async (_, what) => {
  const args = ['--max-old-space-size=64', '--input-type=module', '--eval', takes(what)];
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], timeout: 30_000 });
  expect(await text(child.stdout)).toBe('recovered 0\n');
});

/** Memory usage is read from a file: a failed open must not end the process. */
test('where memory cannot be measured, since descriptors are used up, the process continues, and measures it later', async () => {
  const script = `
    const { pino } = await import('pino');
    const { MemoryPressure } = await import('#limits/memory-pressure.js');
    const { RateLimitedLog } = await import('#logging/rate-limited-log.js');
    const { closeSync, openSync } = await import('node:fs');
    new MemoryPressure(RateLimitedLog.wrap(pino({ level: 'silent' })), { check: 20, collect: 300 });
    const open = [];
    try { for (;;) open.push(openSync('/dev/null')); } catch {}
    let failed = false;
    try { process.memoryUsage(); } catch { failed = true; }
    await new Promise((done) => setTimeout(done, 300));
    for (const each of open) closeSync(each);
    await new Promise((done) => setTimeout(done, 100));
    console.log(failed ? 'went on' : 'it could be seen');
    process.exit();
  `;
  const shell = 'ulimit -n 64; exec "$@"';
  const args = ['-c', shell, 'sh', process.execPath, '--input-type=module', '--eval', script];
  const child = spawn('/bin/sh', args, { cwd: fileURLToPath(new URL('..', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] });
  expect(await text(child.stdout)).toBe('went on\n');
});
