import { randomUUID } from 'node:crypto';
import { openStore, type Store } from '@engawa/server';
import { engawaCluster, withNodes } from '../harness/cluster-kinds.ts';
import { withRedis } from '../harness/redis-process.ts';
import { inBatches } from '../load/in-batches.ts';
import { RawClient } from '../load/raw-client.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { redisStats } from '../profiling/redis-stats.ts';
import type { Cell } from '../report/report.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const ROOMS = 100;
const CHATS = 50_000;
const MEMBERS = 5_000;
const TEXT_BYTES = 200;

const NOTE = [
  `What \`used_memory\` of a Redis grew by, divided: ${ROOMS} rooms, each with its owner; ${MEMBERS.toLocaleString('en-US')} guests who join them and stay connected;`,
  `${CHATS.toLocaleString('en-US')} chats of ${TEXT_BYTES} bytes in the same rooms, as the server appends them; and as many with client ids. A name is remembered for one to two days,`,
  'then its memory is free again; a chat stays until it is trimmed or deleted. A member: his entry, his key, his lease, and the ticket',
  'that a stock client comes back with, which stays for a week after he has gone.',
].join(' ');

export const redisMemory: Scenario = {
  name: 'redis-memory',
  run: ({ folder: parent, progress }) =>
    withTempFolder(parent, (folder) =>
      withRedis(folder, async ({ url }) => {
        const rows: Cell[][] = [];
        const grows = async (what: string, count: number, grow: () => Promise<unknown>) => {
          progress(`${count} times ${what}`);
          const before = await redisStats(url);
          await grow();
          const after = await redisStats(url);
          rows.push([what, count, Math.round((after.memory - before.memory) / count)]);
        };
        await withNodes(engawaCluster, { redisUrl: url, count: 1 }, async ([node]) => {
          const members = new Members(String(node?.url));
          await grows('a room with its owner', ROOMS, () => members.join(ROOMS));
          await grows('a member', MEMBERS, () => members.join(MEMBERS));
          members.close();
        });
        // Without a server that listens: what waits for that would be counted.
        const { store } = await openStore(url);
        await grows('a chat', CHATS, () => say(store, progress, () => undefined));
        await grows('a chat with a client id', CHATS, () => say(store, progress, () => `J5mV1c8kQm2xv0eQ7iYb1w:${randomUUID()}`));
        await store.close();
        return [
          { title: 'Memory in Redis', note: NOTE, columns: [{ name: 'what' }, { name: 'count' }, { name: 'each', unit: 'bytes' }], rows },
        ];
      }),
    ),
};

const roomIdOf = (number: number): string => `room-${number % ROOMS}`;

/** Each with a connection and a session of his own; the first of each room creates it. */
class Members {
  readonly #url: string;
  readonly #clients: RawClient[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  async join(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, (_, index) => this.#clients.length + index);
    const joined = await inBatches(numbers, async (number) => {
      const client = await RawClient.connect(this.#url);
      const place = { roomId: roomIdOf(number), username: `member-${number}` };
      await (number < ROOMS ? client.ask('create:room', place) : client.ask('add:member', place));
      return client;
    });
    this.#clients.push(...joined);
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

/** What the server appends for so many chats. */
async function say(store: Store, progress: BenchContext['progress'], nextName: () => string | undefined): Promise<void> {
  const epochs = await Promise.all(Array.from({ length: ROOMS }, async (_, room) => (await store.read(roomIdOf(room), {})).epoch));
  const chats = Array.from({ length: CHATS }, (_, number) => number);
  await inBatches(chats, async (number) => {
    const idempotencyKey = nextName();
    const body = { username: 'member-1', message: `${number} `.padEnd(TEXT_BYTES, 'x') };
    const draft = { id: randomUUID(), by: 'member-1', author: 'J5mV1c8kQm2xv0eQ7iYb1w', kind: 'create:chat', body, listed: true };
    const append = { epoch: String(epochs[number % ROOMS]), expectedVersions: [], drafts: [draft] };
    const { outcome } = await store.append(roomIdOf(number), idempotencyKey === undefined ? append : { ...append, idempotencyKey });
    if (outcome !== 'appended') throw new Error(`A chat was ${outcome}.`);
    if ((number + 1) % 25_000 === 0) progress(`  ${number + 1} said`);
  });
}
