// What appending a chat to Redis costs: time of Redis and of Node, and memory, beside bare commands.
import { randomUUID } from 'node:crypto';
import { openStore, type Store } from '@engawa/server';
import { createClient } from '@redis/client';
import { withRedis } from '../harness/redis-process.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { type RedisStats, redisStats } from '../profiling/redis-stats.ts';
import { percentile } from '../report/statistics.ts';
import { measureInTurn, type Scenario } from '../scenario.ts';

const FULL = { rounds: 5, milliseconds: 1_500, inFlight: [1, 64, 1_000] };
const QUICK = { rounds: 1, milliseconds: 300, inFlight: [1, 64] };
const WARM_UP_MS = 500;
const ROOMS = [1, 100];
const MESSAGE = 'x'.repeat(200);
const MEMBER = { by: 'aya', author: 'J5mV1c8kQm2xv0eQ7iYb1w' };

const NOTE = [
  'One process appends to one Redis (append-only file, synced every second) over one connection, so many chats in flight.',
  '`chats`: by the store, 200 bytes of text each, as the server appends them. `chats with a key`: with an idempotency key, which Redis remembers for a day or two.',
  'XADD and PUBLISH: the bare commands with the bytes of a chat, by the same client library. No server subscribes. CPU of all threads for each.',
  'Memory: growth of `used_memory` for each. Redis and Node share the cores of this machine.',
].join(' ');

type Figures = Record<'rate' | 'p50' | 'p99' | 'redisTime' | 'nodeTime' | 'memory', number>;

export const redisAppends: Scenario = {
  name: 'redis-appends',
  run: ({ folder: parent, quick, progress }) =>
    withTempFolder(parent, (folder) =>
      withRedis(folder, async ({ url }) => {
        const { rounds, milliseconds, inFlight } = quick ? QUICK : FULL;
        const appender = await Appender.open(url);
        const loads = inFlight.flatMap((count) => ROOMS.filter((rooms) => rooms <= count).map((rooms) => ({ inFlight: count, rooms })));
        const cases = loads.flatMap((load) => appender.kinds.map((kind) => ({ ...load, kind })));
        for (const each of cases.slice(0, appender.kinds.length)) await appender.run({ ...each, milliseconds: WARM_UP_MS });
        const figures = await measureInTurn(cases, rounds, (each) => {
          progress(`${each.inFlight} in flight, rooms: ${each.rooms}, ${each.kind}`);
          return measure(appender, url, { ...each, milliseconds });
        });
        await appender.close();
        return [
          {
            title: 'Appends to Redis',
            note: `${NOTE} Medians of ${rounds} rounds of ${milliseconds / 1000} s, in each of which all took turns.`,
            columns: [
              { name: 'in flight' },
              { name: 'rooms' },
              { name: 'what' },
              { name: 'rate', unit: '1/s' },
              { name: 'p50', unit: 'ms' },
              { name: 'p99', unit: 'ms' },
              { name: 'Redis CPU', unit: 'µs' },
              { name: 'Node CPU', unit: 'µs' },
              { name: 'memory', unit: 'bytes' },
            ],
            rows: cases.map(({ inFlight: count, rooms, kind }, index) => {
              const { rate, p50, p99, redisTime, nodeTime, memory } = figures[index] as Figures;
              return [count, rooms, kind, Math.round(rate), p50, p99, redisTime, nodeTime, Math.round(memory)];
            }),
          },
        ];
      }),
    ),
};

interface AppendLoad {
  kind: string;
  inFlight: number;
  rooms: number;
  milliseconds: number;
}

async function measure(appender: Appender, url: string, load: AppendLoad): Promise<Figures> {
  const [redisBefore, nodeBefore] = [await redisStats(url), process.cpuUsage()];
  const { seconds, latencies } = await appender.run(load);
  const [redisAfter, { user, system }] = [await redisStats(url), process.cpuUsage(nodeBefore)];
  const count = latencies.length;
  const each = (figure: keyof RedisStats): number => (redisAfter[figure] - redisBefore[figure]) / count;
  return {
    rate: count / seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    redisTime: each('cpu') * 1e6,
    nodeTime: (user + system) / count,
    memory: each('memory'),
  };
}

type Append = (room: number) => Promise<unknown>;

class Appender {
  readonly kinds: string[];
  readonly close: () => Promise<void>;
  readonly #appends: Map<string, Append>;

  static async open(url: string): Promise<Appender> {
    const { store } = await openStore(url);
    const client = await createClient({ url, RESP: 2 }).connect();
    const epochs = await Promise.all(Array.from({ length: Math.max(...ROOMS) }, (_, room) => createRoom(store, `room-${room}`)));
    const appends = new Map<string, Append>([
      ['chats', (room) => appendChat(store, room, epochs)],
      ['chats with a key', (room) => appendChat(store, room, epochs, `${MEMBER.author}:${randomUUID()}`)],
      ['XADD', (room) => client.sendCommand(['XADD', `stream-${room}`, '*', 'entry', entryText()])],
      ['PUBLISH', (room) => client.sendCommand(['PUBLISH', `channel-${room}`, entryText()])],
    ]);
    return new Appender(appends, async () => {
      client.destroy();
      await store.close();
    });
  }

  private constructor(appends: Map<string, Append>, close: () => Promise<void>) {
    [this.#appends, this.kinds, this.close] = [appends, [...appends.keys()], close];
  }

  async run({ kind, inFlight, rooms, milliseconds }: AppendLoad): Promise<{ seconds: number; latencies: number[] }> {
    const append = this.#appends.get(kind) as Append;
    const latencies: number[] = [];
    const begun = performance.now();
    async function repeat(room: number): Promise<void> {
      for (let sentAt = begun; sentAt < begun + milliseconds; ) {
        sentAt = performance.now();
        await append(room);
        latencies.push(performance.now() - sentAt);
      }
    }
    await Promise.all(Array.from({ length: inFlight }, (_, index) => repeat(index % rooms)));
    return { seconds: (performance.now() - begun) / 1000, latencies };
  }
}

async function createRoom(store: Store, room: string): Promise<string> {
  const keyUpdates: [string, { username: string; author: string }][] = [['member/aya', { username: 'aya', author: MEMBER.author }]];
  const draft = { ...MEMBER, id: randomUUID(), kind: 'create:room', body: { username: 'aya' }, keyUpdates };
  const appended = await store.append(room, { epoch: null, expectedVersions: [], drafts: [draft] });
  if (appended.outcome === 'stale') throw new Error(`${room} exists already.`);
  return appended.epoch;
}

/** As the domain appends it: only if its author still is a member. */
async function appendChat(store: Store, room: number, epochs: string[], idempotencyKey?: string): Promise<void> {
  const draft = { ...MEMBER, id: randomUUID(), kind: 'create:chat', body: { username: 'aya', message: MESSAGE }, listed: true };
  const { outcome } = await store.append(`room-${room}`, {
    epoch: String(epochs[room]),
    expectedVersions: [['member/aya', 1]],
    drafts: [draft],
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  });
  if (outcome !== 'appended') throw new Error(`A chat was ${outcome}.`);
}

/** The bytes that the store writes for a chat. */
function entryText(): string {
  const head = [randomUUID(), randomUUID(), Date.now(), Date.now() * 1000, MEMBER.by, MEMBER.author, 'create:chat', 2];
  return `${JSON.stringify(head)}\n${JSON.stringify({ username: 'aya', message: MESSAGE })}`;
}
