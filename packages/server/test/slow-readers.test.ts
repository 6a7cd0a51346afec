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

interface Told extends Record<string, unknown> {
  roomId: string;
  seq: number;
}

/** A client by hand, which can stop reading. */
class Sleeper {
  readonly raw: RawWebSocket;

  private constructor(raw: RawWebSocket) {
    this.raw = raw;
  }

  static async in(url: string, rooms: string[], { recovery = true } = {}): Promise<Sleeper> {
    const raw = await connectRaw(await openRawWebSocket(url), JSON.stringify({ recovery }));
    for (const [at, roomId] of rooms.entries()) {
      await raw.send(`42${at}["add:member",{"roomId":"${roomId}","username":"sleeper"}]`);
      await raw.waitForPacket(new RegExp(`^43${at}\\[\\{"ok":true`));
    }
    return new Sleeper(raw);
  }

  stop(): void {
    this.raw.socket.pause();
  }

  readOn(): void {
    this.raw.socket.resume();
  }

  told(event = /:success$/): (Told & { event: string; offset: string | undefined })[] {
    return this.raw.received.flatMap((packet) => {
      if (!packet.startsWith('42[')) return [];
      const [name, payload, offset] = JSON.parse(packet.slice(2)) as [string, Told, string?];
      return event.test(name) && 'seq' in payload ? [{ event: name, offset, ...payload }] : [];
    });
  }

  seqsIn(roomId: string): number[] {
    return this.told().flatMap((told) => (told.roomId === roomId ? [told.seq] : []));
  }
}

interface Scene {
  url: string;
  store: Store;
  io: Server;
  aya: Socket;
  adapter: CoalescingAdapter;
}

async function startScene(rooms: string[], options: Parameters<typeof startServer>[0] = {}): Promise<Scene> {
  const using = vi.spyOn(Server.prototype, 'use');
  const { url, store } = await startServer({ rateLimits: 'off', maxSendBuffer: MAX_SEND_BUFFER, ...options });
  const io = using.mock.contexts[0] as Server;
  using.mockRestore();
  const aya = await connect(url);
  for (const roomId of rooms) await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  return { url, store, io, aya, adapter: io.of('/').adapter as CoalescingAdapter };
}

const say = (aya: Socket, roomId: string, message: string) => requestOk(aya, 'create:chat', { roomId, username: 'aya', message });
/** Whether they are given offsets or not. */
const hears = ({ adapter: { rooms } }: Scene, roomId: string): number =>
  (rooms.get(`room:${roomId}`)?.size ?? 0) + (rooms.get(`plain:${roomId}`)?.size ?? 0);
const headOf = async ({ store }: Scene, roomId: string): Promise<number> => (await store.read(roomId, {})).head;
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Sends chats until the slow reader is no longer in the room of the adapter. */
async function talkUntilBehind(scene: Scene, roomId: string, hearers = 1): Promise<void> {
  // So few at a time that far less than a megabyte waits in the end: with more, what the client asks waits until it reads.
  for (let said = 0; hears(scene, roomId) > hearers; said += 10) {
    if (said > 20_000) throw new Error('He never fell behind.');
    await Promise.all(numbers(1, 10).map((number) => say(scene.aya, roomId, `${number} ${LONG}`)));
  }
}

const isCaughtUp = (scene: Scene, sleeper: Sleeper, roomId: string) => async (): Promise<boolean> =>
  sleeper.seqsIn(roomId).at(-1) === (await headOf(scene, roomId));

test.each([{ recovery: true }, { recovery: false }])(
  'a slow reader receives everything once, in order, and its buffered bytes are bounded: %j',
  async (options) => {
    const scene = await startScene(['den']);
    const ben = await connect(scene.url);
    await requestOk(ben, 'add:member', { roomId: 'den', username: 'ben' });
    const toBen = collectEvents(ben, 'create:chat:success');
    const sleeper = await Sleeper.in(scene.url, ['den'], options);
    const id = String([...scene.io.sockets.sockets.keys()].at(-1));
    sleeper.stop();
    await talkUntilBehind(scene, 'den', 2);
    const waiting = scene.adapter.bufferedBytesOf(id);
    expect(waiting).toBeGreaterThan(MAX_SEND_BUFFER);
    for (let round = 0; round < 20; round += 1)
      await Promise.all(numbers(1, 50).map((number) => say(scene.aya, 'den', `${number} ${LONG}`)));
    expect(scene.adapter.bufferedBytesOf(id), 'nothing more is buffered for the reader').toBe(waiting);
    const head = await headOf(scene, 'den');
    await until(() => toBen.at(-1)?.seq === head, 'the others receive newer entries');

    sleeper.readOn();
    await until(isCaughtUp(scene, sleeper, 'den'), 'the reader has received everything');
    await until(() => hears(scene, 'den') === 3, 'the reader is in the room again');
    await say(scene.aya, 'den', 'now');
    await until(isCaughtUp(scene, sleeper, 'den'), 'the reader receives newer entries');
    expect(sleeper.seqsIn('den')).toEqual(numbers(sleeper.seqsIn('den')[0]!, head + 1));
    const offset = options.recovery ? (expect.stringMatching(/^\d+$/) as string) : undefined;
    for (const told of sleeper.told()) expect(told.offset).toEqual(offset);
  },
);

test('a slow reader catches up while the room continues', async () => {
  const scene = await startScene(['den']);
  const sleeper = await Sleeper.in(scene.url, ['den']);
  sleeper.stop();
  await talkUntilBehind(scene, 'den');
  const ending = new AbortController();
  const talking = (async () => {
    for (let number = 0; !ending.signal.aborted; number += 1) await say(scene.aya, 'den', `${number}`);
  })();
  sleeper.readOn();
  await until(() => hears(scene, 'den') === 2, 'the reader is in the room again');
  ending.abort();
  await talking;
  await until(isCaughtUp(scene, sleeper, 'den'), 'the reader has received everything');
  expect(sleeper.seqsIn('den')).toEqual(numbers(sleeper.seqsIn('den')[0]!, await headOf(scene, 'den')));
});

test('in several rooms a slow reader falls behind in all, and receives no offset beyond what another room still has to send', async () => {
  const scene = await startScene(['den', 'hall']);
  const sleeper = await Sleeper.in(scene.url, ['den', 'hall']);
  sleeper.stop();
  await talkUntilBehind(scene, 'den');
  expect(hears(scene, 'hall')).toBe(1);
  for (const number of numbers(1, 500)) {
    await say(scene.aya, 'hall', `${number} ${LONG}`);
    if (number % 5 === 0) await say(scene.aya, 'den', `${number}`);
  }
  sleeper.readOn();
  for (const roomId of ['den', 'hall']) {
    await until(isCaughtUp(scene, sleeper, roomId), 'the reader has received everything');
    await until(() => hears(scene, roomId) === 2, 'the reader is in it again');
    expect(sleeper.seqsIn(roomId)).toEqual(numbers(sleeper.seqsIn(roomId)[0]!, await headOf(scene, roomId)));
  }
  // Whichever offset the client sends when it reconnects: it has received all entries before it.
  const told = sleeper.told();
  const ticks = new Map<string, number>();
  for (const roomId of ['den', 'hall']) {
    for (let after = 0, hasMore = true; hasMore; ) {
      const page = await scene.store.readPage(roomId, { after, limit: 100 });
      for (const { seq, hlc } of page.entries) ticks.set(`${roomId} ${seq}`, hlc);
      after = page.entries.at(-1)?.seq ?? after;
      hasMore = page.hasMore;
    }
  }
  const own = [...ticks].filter(([name]) => told.some(({ roomId, seq }) => name === `${roomId} ${seq}`));
  let shown = 0;
  const known = new Set<string>();
  for (const { roomId, seq, offset } of told) {
    known.add(`${roomId} ${seq}`);
    if (offset === undefined) continue;
    shown += 1;
    const missing = own.filter(([name, tick]) => tick <= Number(offset) && !known.has(name));
    expect(missing).toEqual([]);
  }
  expect(shown).toBeGreaterThan(0);
  expect(told.at(-1)?.offset, 'the last received offset').toBe(String(Math.max(...own.map(([, tick]) => tick))));
});

test('a client that does not read for too long is disconnected, and the others keep receiving', async () => {
  const scene = await startScene(['den'], { stallTimeoutMs: 300 });
  const sleeper = await Sleeper.in(scene.url, ['den']);
  sleeper.stop();
  await talkUntilBehind(scene, 'den');
  await until(() => scene.io.engine.clientsCount === 1, 'the client is disconnected');
  expect((await say(scene.aya, 'den', 'on')).ok).toBe(true);
});

test('a member who is removed meanwhile receives the entries until then, and those after they rejoined', async () => {
  const scene = await startScene(['den']);
  const sleeper = await Sleeper.in(scene.url, ['den']);
  sleeper.stop();
  await talkUntilBehind(scene, 'den');
  const removed = await requestOk(scene.aya, 'remove:member', { roomId: 'den', username: 'sleeper' });
  await say(scene.aya, 'den', 'after the removal');
  const ask: RequestPayload<'add:member'> = { roomId: 'den', username: 'sleeper' };
  await sleeper.raw.send(`4299["add:member",${JSON.stringify(ask)}]`);
  await until(async () => (await headOf(scene, 'den')) === removed.seq + 2, 'the reader is a member again');
  const { seq } = await say(scene.aya, 'den', 'after the rejoin');
  sleeper.readOn();
  await until(isCaughtUp(scene, sleeper, 'den'), 'the reader has received everything');
  const all = numbers(sleeper.seqsIn('den')[0]!, seq);
  expect(sleeper.seqsIn('den')).toEqual(all.filter((each) => each !== removed.seq + 1));
  await until(() => hears(scene, 'den') === 2, 'the reader is in the room again');
});

test('a slow reader receives delete:room when its room is deleted', async () => {
  const scene = await startScene(['den']);
  const sleeper = await Sleeper.in(scene.url, ['den']);
  sleeper.stop();
  await talkUntilBehind(scene, 'den');
  await requestOk(scene.aya, 'delete:room', { roomId: 'den', username: 'aya' });
  sleeper.readOn();
  await until(() => sleeper.told(/^delete:room:success$/).length === 1, 'the reader receives the end');
  expect(scene.io.engine.clientsCount, 'and is not put out').toBe(2);
});

test('when the log changes meanwhile the slow reader is disconnected, and resumes', async () => {
  let isOther = false;
  const inner = openMemory();
  const readPage: Store['readPage'] = async (...asked) => {
    const read = await inner.readPage(...asked);
    return isOther ? { ...read, epoch: 'another' } : read;
  };
  const scene = await startScene(['den'], { store: withOverrides(inner, { readPage }) });
  const sleeper = await Sleeper.in(scene.url, ['den']);
  sleeper.stop();
  await talkUntilBehind(scene, 'den');
  await say(scene.aya, 'den', 'missed');
  isOther = true;
  sleeper.readOn();
  await until(() => scene.io.engine.clientsCount === 1, 'the client is disconnected');
});
