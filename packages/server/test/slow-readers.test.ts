/** Slow consumers: their backlog is bounded, they miss nothing, and other clients are not affected. */
import type { CoalescingAdapter } from '@engawa/coalescing-adapter';
import { LIMITS, type RequestPayload } from '@engawa/protocol';
import { openMemory, type Store } from '@engawa/server';
import { connectRaw, openRawWebSocket, type RawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { collectEvents, connect, requestOk, startServer, until, withOverrides } from '@engawa/testkit/processes/server';
import { Server } from 'socket.io';
import type { Socket } from 'socket.io-client';
import { expect, test, vi } from 'vitest';

const MAX_SEND_BUFFER = 64 * 1024;
const LONG = '部'.repeat(LIMITS.textCodePoints - 10);

interface Received extends Record<string, unknown> {
  roomId: string;
  seq: number;
}

/** A raw client, which can stop reading. */
class SlowReader {
  readonly raw: RawWebSocket;

  private constructor(raw: RawWebSocket) {
    this.raw = raw;
  }

  static async in(url: string, rooms: string[], { recovery = true } = {}): Promise<SlowReader> {
    const raw = await connectRaw(await openRawWebSocket(url), JSON.stringify({ recovery }));
    for (const [at, roomId] of rooms.entries()) {
      await raw.send(`42${at}["add:member",{"roomId":"${roomId}","username":"sleeper"}]`);
      await raw.waitForPacket(new RegExp(`^43${at}\\[\\{"ok":true`));
    }
    return new SlowReader(raw);
  }

  stop(): void {
    this.raw.socket.pause();
  }

  readOn(): void {
    this.raw.socket.resume();
  }

  receivedEvents(event = /:success$/): (Received & { event: string; offset: string | undefined })[] {
    return this.raw.received.flatMap((packet) => {
      if (!packet.startsWith('42[')) return [];
      const [name, payload, offset] = JSON.parse(packet.slice(2)) as [string, Received, string?];
      return event.test(name) && 'seq' in payload ? [{ event: name, offset, ...payload }] : [];
    });
  }

  seqsIn(roomId: string): number[] {
    return this.receivedEvents().flatMap((event) => (event.roomId === roomId ? [event.seq] : []));
  }
}

interface Setup {
  url: string;
  store: Store;
  io: Server;
  aya: Socket;
  adapter: CoalescingAdapter;
}

async function startSetup(rooms: string[], options: Parameters<typeof startServer>[0] = {}): Promise<Setup> {
  const using = vi.spyOn(Server.prototype, 'use');
  const { url, store } = await startServer({ rateLimits: 'off', maxSendBuffer: MAX_SEND_BUFFER, ...options });
  const io = using.mock.contexts[0] as Server;
  using.mockRestore();
  const aya = await connect(url);
  for (const roomId of rooms) await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  return { url, store, io, aya, adapter: io.of('/').adapter as CoalescingAdapter };
}

const say = (aya: Socket, roomId: string, message: string) => requestOk(aya, 'create:chat', { roomId, username: 'aya', message });
/** With and without offsets. */
const receives = ({ adapter: { rooms } }: Setup, roomId: string): number =>
  (rooms.get(`room:${roomId}`)?.size ?? 0) + (rooms.get(`plain:${roomId}`)?.size ?? 0);
const headOf = async ({ store }: Setup, roomId: string): Promise<number> => (await store.read(roomId, {})).head;
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Sends chats until the slow reader is no longer in the room of the adapter. */
async function talkUntilBehind(setup: Setup, roomId: string, hearers = 1): Promise<void> {
  // Few at a time, so that far less than a megabyte is buffered in the end: with more, requests of the client wait until it reads.
  for (let said = 0; receives(setup, roomId) > hearers; said += 10) {
    if (said > 20_000) throw new Error('The reader never fell behind.');
    await Promise.all(numbers(1, 10).map((number) => say(setup.aya, roomId, `${number} ${LONG}`)));
  }
}

const isCaughtUp = (setup: Setup, slowReader: SlowReader, roomId: string) => async (): Promise<boolean> =>
  slowReader.seqsIn(roomId).at(-1) === (await headOf(setup, roomId));

test.each([{ recovery: true }, { recovery: false }])(
  'a slow reader receives everything once, in order, and its buffered bytes are bounded: %j',
  async (options) => {
    const setup = await startSetup(['den']);
    const ben = await connect(setup.url);
    await requestOk(ben, 'add:member', { roomId: 'den', username: 'ben' });
    const toBen = collectEvents(ben, 'create:chat:success');
    const slowReader = await SlowReader.in(setup.url, ['den'], options);
    const id = String([...setup.io.sockets.sockets.keys()].at(-1));
    slowReader.stop();
    await talkUntilBehind(setup, 'den', 2);
    const waiting = setup.adapter.bufferedBytesOf(id);
    expect(waiting).toBeGreaterThan(MAX_SEND_BUFFER);
    for (let round = 0; round < 20; round += 1)
      await Promise.all(numbers(1, 50).map((number) => say(setup.aya, 'den', `${number} ${LONG}`)));
    expect(setup.adapter.bufferedBytesOf(id), 'nothing more is buffered for the reader').toBe(waiting);
    const head = await headOf(setup, 'den');
    await until(() => toBen.at(-1)?.seq === head, 'the others receive newer entries');

    slowReader.readOn();
    await until(isCaughtUp(setup, slowReader, 'den'), 'the reader has received everything');
    await until(() => receives(setup, 'den') === 3, 'the reader is in the room again');
    await say(setup.aya, 'den', 'now');
    await until(isCaughtUp(setup, slowReader, 'den'), 'the reader receives newer entries');
    expect(slowReader.seqsIn('den')).toEqual(numbers(slowReader.seqsIn('den')[0]!, head + 1));
    const offset = options.recovery ? (expect.stringMatching(/^\d+$/) as string) : undefined;
    for (const event of slowReader.receivedEvents()) expect(event.offset).toEqual(offset);
  },
);

test('a slow reader catches up while the room continues', async () => {
  const setup = await startSetup(['den']);
  const slowReader = await SlowReader.in(setup.url, ['den']);
  slowReader.stop();
  await talkUntilBehind(setup, 'den');
  const ending = new AbortController();
  const talking = (async () => {
    for (let number = 0; !ending.signal.aborted; number += 1) await say(setup.aya, 'den', `${number}`);
  })();
  slowReader.readOn();
  await until(() => receives(setup, 'den') === 2, 'the reader is in the room again');
  ending.abort();
  await talking;
  await until(isCaughtUp(setup, slowReader, 'den'), 'the reader has received everything');
  expect(slowReader.seqsIn('den')).toEqual(numbers(slowReader.seqsIn('den')[0]!, await headOf(setup, 'den')));
});

test('in several rooms a slow reader falls behind in all, and receives no offset beyond what another room still has to send', async () => {
  const setup = await startSetup(['den', 'hall']);
  const slowReader = await SlowReader.in(setup.url, ['den', 'hall']);
  slowReader.stop();
  await talkUntilBehind(setup, 'den');
  expect(receives(setup, 'hall')).toBe(1);
  for (const number of numbers(1, 500)) {
    await say(setup.aya, 'hall', `${number} ${LONG}`);
    if (number % 5 === 0) await say(setup.aya, 'den', `${number}`);
  }
  slowReader.readOn();
  for (const roomId of ['den', 'hall']) {
    await until(isCaughtUp(setup, slowReader, roomId), 'the reader has received everything');
    await until(() => receives(setup, roomId) === 2, 'the reader is in it again');
    expect(slowReader.seqsIn(roomId)).toEqual(numbers(slowReader.seqsIn(roomId)[0]!, await headOf(setup, roomId)));
  }
  // Whichever offset the client sends when it reconnects: it has received all entries before it.
  const receivedEvents = slowReader.receivedEvents();
  const hlcs = new Map<string, number>();
  for (const roomId of ['den', 'hall']) {
    for (let after = 0, hasMore = true; hasMore; ) {
      const page = await setup.store.readPage(roomId, { after, limit: 100 });
      for (const { seq, hlc } of page.entries) hlcs.set(`${roomId} ${seq}`, hlc);
      after = page.entries.at(-1)?.seq ?? after;
      hasMore = page.hasMore;
    }
  }
  const own = [...hlcs].filter(([name]) => receivedEvents.some(({ roomId, seq }) => name === `${roomId} ${seq}`));
  let shown = 0;
  const known = new Set<string>();
  for (const { roomId, seq, offset } of receivedEvents) {
    known.add(`${roomId} ${seq}`);
    if (offset === undefined) continue;
    shown += 1;
    const missing = own.filter(([name, tick]) => tick <= Number(offset) && !known.has(name));
    expect(missing).toEqual([]);
  }
  expect(shown).toBeGreaterThan(0);
  expect(receivedEvents.at(-1)?.offset, 'the last received offset').toBe(String(Math.max(...own.map(([, tick]) => tick))));
});

test('a client that does not read for too long is disconnected, and the others keep receiving', async () => {
  const setup = await startSetup(['den'], { stallTimeoutMs: 300 });
  const slowReader = await SlowReader.in(setup.url, ['den']);
  slowReader.stop();
  await talkUntilBehind(setup, 'den');
  await until(() => setup.io.engine.clientsCount === 1, 'the client is disconnected');
  expect((await say(setup.aya, 'den', 'on')).ok).toBe(true);
});

test('a member who is removed meanwhile receives the entries until then, and those after they rejoined', async () => {
  const setup = await startSetup(['den']);
  const slowReader = await SlowReader.in(setup.url, ['den']);
  slowReader.stop();
  await talkUntilBehind(setup, 'den');
  const removed = await requestOk(setup.aya, 'remove:member', { roomId: 'den', username: 'sleeper' });
  await say(setup.aya, 'den', 'after the removal');
  const ask: RequestPayload<'add:member'> = { roomId: 'den', username: 'sleeper' };
  await slowReader.raw.send(`4299["add:member",${JSON.stringify(ask)}]`);
  await until(async () => (await headOf(setup, 'den')) === removed.seq + 2, 'the reader is a member again');
  const { seq } = await say(setup.aya, 'den', 'after the rejoin');
  slowReader.readOn();
  await until(isCaughtUp(setup, slowReader, 'den'), 'the reader has received everything');
  const all = numbers(slowReader.seqsIn('den')[0]!, seq);
  expect(slowReader.seqsIn('den')).toEqual(all.filter((each) => each !== removed.seq + 1));
  await until(() => receives(setup, 'den') === 2, 'the reader is in the room again');
});

test('a slow reader receives delete:room when its room is deleted', async () => {
  const setup = await startSetup(['den']);
  const slowReader = await SlowReader.in(setup.url, ['den']);
  slowReader.stop();
  await talkUntilBehind(setup, 'den');
  await requestOk(setup.aya, 'delete:room', { roomId: 'den', username: 'aya' });
  slowReader.readOn();
  await until(() => slowReader.receivedEvents(/^delete:room:success$/).length === 1, 'the reader receives the end');
  expect(setup.io.engine.clientsCount, 'and is not disconnected').toBe(2);
});

test('when the log changes meanwhile the slow reader is disconnected, and resumes', async () => {
  let isOther = false;
  const inner = openMemory();
  const readPage: Store['readPage'] = async (...asked) => {
    const read = await inner.readPage(...asked);
    return isOther ? { ...read, epoch: 'another' } : read;
  };
  const setup = await startSetup(['den'], { store: withOverrides(inner, { readPage }) });
  const slowReader = await SlowReader.in(setup.url, ['den']);
  slowReader.stop();
  await talkUntilBehind(setup, 'den');
  await say(setup.aya, 'den', 'missed');
  isOther = true;
  slowReader.readOn();
  await until(() => setup.io.engine.clientsCount === 1, 'the client is disconnected');
});
