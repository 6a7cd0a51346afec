/** The process that asks a Redis as fast as it is answered. Ends with its parent. */
import { randomUUID } from 'node:crypto';
import { openStore, type Store } from '@engawa/server';
import { createClient } from '@redis/client';
import { handleCommands } from '../processes/worker-rpc.ts';
import { percentile } from '../report/statistics.ts';
import type { AppendCommand, AppendFigures, AppendKind, AppendLoad } from './append-load.ts';

const MESSAGE = 'x'.repeat(200);
const MEMBER = { by: 'aya', author: 'J5mV1c8kQm2xv0eQ7iYb1w' };

interface Opened {
  store: Store;
  /** Sends bare commands, by the same library. */
  client: { sendCommand(command: string[]): Promise<unknown> };
  epochs: string[];
}

let opened: Opened;

async function open(url: string, rooms: number): Promise<void> {
  const { store } = await openStore(url);
  const client = await createClient({ url, RESP: 2 }).connect();
  opened = { store, client, epochs: await Promise.all(Array.from({ length: rooms }, (_, room) => createRoom(store, `room-${room}`))) };
}

async function createRoom(store: Store, room: string): Promise<string> {
  const keyUpdates: [string, { username: string; author: string }][] = [['member/aya', { username: 'aya', author: MEMBER.author }]];
  const draft = { ...MEMBER, id: randomUUID(), kind: 'create:room', body: { username: 'aya' }, keyUpdates };
  const appended = await store.append(room, { epoch: null, expectedVersions: [], drafts: [draft] });
  if (appended.outcome === 'stale') throw new Error(`There is a ${room} already.`);
  return appended.epoch;
}

/** The answer of one, from the room of that number. */
const asks: Record<AppendKind, (room: number) => Promise<unknown>> = {
  chats: (room) => appendChat(room),
  'named chats': (room) => appendChat(room, `${MEMBER.author}:${randomUUID()}`),
  XADD: (room) => opened.client.sendCommand(['XADD', `stream-${room}`, '*', 'entry', entryText()]),
  PUBLISH: (room) => opened.client.sendCommand(['PUBLISH', `channel-${room}`, entryText()]),
};

/** As the domain does it: the chat rests on its author being a member. */
async function appendChat(room: number, idempotencyKey?: string): Promise<void> {
  const { store, epochs } = opened;
  const draft = { ...MEMBER, id: randomUUID(), kind: 'create:chat', body: { username: 'aya', message: MESSAGE }, listed: true };
  const named = idempotencyKey === undefined ? {} : { idempotencyKey };
  const { outcome } = await store.append(`room-${room}`, {
    epoch: String(epochs[room]),
    expectedVersions: [['member/aya', 1]],
    drafts: [draft],
    ...named,
  });
  if (outcome !== 'appended') throw new Error(`A chat was ${outcome}.`);
}

/** What the store keeps of a chat, made anew as it has to be there. */
function entryText(): string {
  const head = [randomUUID(), randomUUID(), Date.now(), Date.now() * 1000, MEMBER.by, MEMBER.author, 'create:chat', 2];
  return `${JSON.stringify(head)}\n${JSON.stringify({ username: 'aya', message: MESSAGE })}`;
}

async function ask({ asking, inFlight, rooms, milliseconds }: AppendLoad): Promise<AppendFigures> {
  const latencies: number[] = [];
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const end = start + milliseconds;

  async function askOn(room: number): Promise<void> {
    for (let asked = start; asked < end; ) {
      asked = performance.now();
      await asks[asking](room);
      latencies.push(performance.now() - asked);
    }
  }

  await Promise.all(Array.from({ length: inFlight }, (_, index) => askOn(index % rooms)));
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    seconds,
    count: latencies.length,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpu: (user + system) / 1e6,
  };
}

handleCommands<AppendCommand>((order) => (order.do === 'open' ? open(order.url, order.rooms) : ask(order)));
