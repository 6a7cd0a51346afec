import { openEmbedded, type Store } from '@engawa/server';
import { seedRoom } from '../harness/seed-room.ts';
import { withServer } from '../harness/server-process.ts';
import { RawClient } from '../load/raw-client.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import type { Cell } from '../report/report.ts';
import { median, percentile } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const rooms = [
  { id: 'small', what: '100 chats', chats: 100, others: 0 },
  { id: 'large', what: '1,000,000 chats', chats: 1_000_000, others: 0 },
  { id: 'buried', what: '100 chats, then 100,000 joins', chats: 100, others: 100_000 },
];
const PAGE = 50;
const TEXT_BYTES = 200;
const REPEATS = 500;

type PageAsk = { before?: number; limit: number };
type Read = () => Promise<{ chats: unknown[] } | { entries: unknown[] } | undefined>;

/** A room's first entry is its creation; its chats follow. */
const OLDEST = { before: PAGE + 2 };

const pagesOf = (chats: number): Record<string, () => PageAsk> => ({
  'the newest page': () => ({ limit: PAGE }),
  'the page in the middle': () => ({ limit: PAGE, before: chats / 2 + 2 }),
  'a page anywhere': () => ({ limit: PAGE, before: OLDEST.before + Math.floor(Math.random() * (chats - PAGE + 1)) }),
  'the oldest page': () => ({ limit: PAGE, ...OLDEST }),
});

const HOW = [
  `${REPEATS} times one after the other, after as many to warm up; texts of ${TEXT_BYTES} bytes, files in the system's cache.`,
  'Joins stand for all entries that no page of chats shows.',
].join(' ');
const WHAT_IS_ASKED =
  '`list:chats`, from sending to its answer: the page, what became of its chats, and whether there is more on either side.';

export const pages: Scenario = {
  name: 'pages',
  run: ({ folder: parent, progress }) =>
    withTempFolder(parent, async (folder) => {
      const inStore = await measureInStore(folder, progress);
      const overSocket = await withServer(folder, ({ url }) => measureOverSocket(url, progress));
      const columns = [{ name: 'room' }, { name: 'what' }, { name: 'median', unit: 'µs' }, { name: 'p99', unit: 'µs' }];
      return [
        {
          title: `Pages of ${PAGE} chats in the store`,
          note: `One read of the embedded store, in its own process. ${HOW}`,
          columns,
          rows: inStore,
        },
        { title: `Pages of ${PAGE} chats over a connection`, note: `${WHAT_IS_ASKED} ${HOW}`, columns, rows: overSocket },
      ];
    }),
};

async function measureInStore(folder: string, progress: BenchContext['progress']): Promise<Cell[][]> {
  const store = await openEmbedded({ folder });
  try {
    const rows: Cell[][] = [];
    for (const { id, what, chats, others } of rooms) {
      await seedRoom({ store, room: id, chats, others, textBytes: TEXT_BYTES, progress });
      progress(`reading the room of ${what}, in the store`);
      rows.push([what, 'opening the room', ...(await measure(() => openRoom(store, id)))]);
      for (const [place, ask] of Object.entries(pagesOf(chats))) {
        rows.push([what, place, ...(await measure(() => store.readPage(id, { ...ask(), listed: true })))]);
      }
    }
    return rows;
  } finally {
    await store.close();
  }
}

/** What a join reads. */
async function openRoom(store: Store, room: string): Promise<undefined> {
  await store.read(room, { keys: ['member/aya', 'settings'], counts: [''] });
}

async function measureOverSocket(url: string, progress: BenchContext['progress']): Promise<Cell[][]> {
  const client = await RawClient.connect(url);
  try {
    const rows: Cell[][] = [];
    for (const { id: roomId, what, chats } of rooms) {
      progress(`reading the room of ${what}, over a connection`);
      await client.ask('add:member', { roomId, username: 'noa' });
      for (const [place, ask] of Object.entries(pagesOf(chats))) {
        rows.push([what, place, ...(await measure(() => client.ask('list:chats', { roomId, ...ask() })))]);
      }
    }
    return rows;
  } finally {
    client.close();
  }
}

/** Median and p99. */
async function measure(read: Read): Promise<[number, number]> {
  await timesOf(read);
  const times = await timesOf(read);
  return [median(times), percentile(times, 0.99)];
}

/** Microseconds. */
async function timesOf(read: Read): Promise<number[]> {
  const times: number[] = [];
  while (times.length < REPEATS) {
    const start = performance.now();
    const page = await read();
    times.push((performance.now() - start) * 1000);
    mustBeWhole(page);
  }
  return times;
}

function mustBeWhole(page: Awaited<ReturnType<Read>>): void {
  if (page === undefined) return;
  const { length } = 'chats' in page ? page.chats : page.entries;
  if (length !== PAGE) throw new Error(`A page of ${PAGE} chats was asked, one of ${length} came.`);
}
