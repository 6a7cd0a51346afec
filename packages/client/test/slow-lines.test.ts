/**
 * On a network of 16 KB a second, missed entries arrive in parts, each within its time-out, and so do the chats of a joined room.
 */
import { type ClientOptions, connect, type Room } from '@engawa/client';
import { connect as connectPlain, requestOk, startServer } from '@engawa/testkit/processes/server';
import { type FaultyProxy, startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { expect, onTestFinished, test } from 'vitest';

const roomId = 'veranda';
const BYTES_PER_SECOND = 16 * 1024;
const LINES: ClientOptions[] = [{ transports: ['websocket'] }, { transports: ['polling'] }];

interface Line {
  proxy: FaultyProxy;
  join: (username: string) => Promise<Room>;
  /** Sends `count` chats of `length` characters. */
  say: (count: number, length: number) => Promise<void>;
}

async function line(options: ClientOptions): Promise<Line> {
  const { url } = await startServer({ rateLimits: 'off' });
  const proxy = await startProxy({ port: Number(new URL(url).port) });
  const ben = await connectPlain(url);
  await requestOk(ben, 'create:room', { roomId, username: 'ben' });
  return {
    proxy,
    async join(username) {
      const client = connect(proxy.url, options);
      onTestFinished(() => void client.close());
      return client.join(roomId, { username });
    },
    async say(count, length) {
      const several = Math.floor(40_000 / length);
      for (let said = 0; said < count; said += several) {
        const chats = Array.from({ length: Math.min(several, count - said) }, (_, index) => ({
          message: `${said + index} `.padEnd(length, 'x'),
        }));
        await requestOk(ben, 'create:chats', { roomId, username: 'ben', chats });
      }
    },
  };
}

const numbersIn = (messages: readonly (string | null)[]): number[] => messages.map((message) => Number(message?.split(' ')[0]));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const waited = async (isDone: () => boolean): Promise<void> => expect.poll(isDone, { timeout: 120_000, interval: 20 }).toBe(true);

test.each(LINES)(
  '500 missed chats of 500 characters are delivered once, in order, with progress: %o',
  async (options) => {
    const { proxy, join, say } = await line(options);
    const room = await join('aya');
    proxy.refuse(true);
    proxy.cut();
    await waited(() => room.state === 'offline');
    await say(500, 500);
    const received: string[] = [];
    const resets: unknown[] = [];
    const progress = new Set<Room['catchUpProgress']>();
    room.on('chat', ({ message }) => received.push(message ?? ''));
    room.on('reset', (reset) => resets.push(reset));
    room.on('change', () => progress.add(room.catchUpProgress));
    proxy.throttle(BYTES_PER_SECOND);
    proxy.refuse(false);
    const before = proxy.bytes;
    const started = performance.now();
    await waited(() => room.state === 'live');
    console.log(`${String(options.transports)}: ${Math.round((performance.now() - started) / 100) / 10} s, ${proxy.bytes - before} bytes`);
    expect(numbersIn(received)).toEqual(upTo(500));
    expect(resets).toEqual([]);
    const shares = [...progress].flatMap((each) => (each ? [each.done / each.total] : []));
    expect(shares.length).toBeGreaterThan(2);
    expect(shares).toEqual([...shares].sort((one, other) => one - other));
    expect(room.catchUpProgress).toBeUndefined();
  },
  180_000,
);

test.each(LINES)(
  'a room whose last 50 chats have 4,000 characters each can be joined, and all of them can be loaded: %o',
  async (options) => {
    const { proxy, join, say } = await line(options);
    await say(50, 4_000);
    proxy.throttle(BYTES_PER_SECOND);
    const started = performance.now();
    const room = await join('aya');
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(room.timeline.chats.length).toBeGreaterThan(5);
    while (room.timeline.hasOlder) await room.timeline.loadOlder();
    expect(numbersIn(room.timeline.chats.map(({ message }) => message))).toEqual(upTo(50));
  },
  180_000,
);

test('after a time-out less is requested', async () => {
  const { proxy, join, say } = await line({ transports: ['websocket'] });
  await say(30, 4_000);
  proxy.throttle(4 * 1024);
  const room = await join('aya');
  expect(room.timeline.chats.length).toBeGreaterThan(1);
}, 120_000);
