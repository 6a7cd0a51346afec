// Whether pages, joins and reactions cost more where a room has much.
import { LIMITS } from '@engawa/protocol';
import { openEmbedded } from '@engawa/server';
import { connectTo, type SocketIoClient } from '../generator/socketio-client.ts';
import { seedRoom } from '../harness/seed-room.ts';
import { ENGAWA, withServerOf } from '../harness/server-kinds.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import type { Cell, Table } from '../report/report.ts';
import { median, percentile } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const FULL = { large: 1_000_000, members: 10_000, warmUp: 3_000, repeats: 500 };
const QUICK = { large: 20_000, members: 500, warmUp: 100, repeats: 50 };
const SMALL = 100;
const PAGE = 50;
const TEXT_BYTES = 200;
/** As many as a room may have of one connection. */
const NAMES_PER_CONNECTION = LIMITS.namesPerRoom;

export const growth: Scenario = {
  name: 'growth',
  run: async (bench) => [await measurePages(bench), await measureMembers(bench)],
};

const columns = [{ name: 'what' }, { name: 'which' }, { name: 'median', unit: 'ms' }, { name: 'p99', unit: 'ms' }];
const toRow = (what: string, which: string, times: number[]): Cell[] => [what, which, median(times), percentile(times, 0.99)];

const measurePages = ({ folder: parent, quick, progress }: BenchContext): Promise<Table> =>
  withTempFolder(parent, async (folder) => {
    const { large, repeats } = quick ? QUICK : FULL;
    const store = await openEmbedded({ folder });
    const rows: Cell[][] = [];
    for (const chats of [SMALL, large]) {
      const [room, name] = [`room-${chats}`, `a room of ${chats.toLocaleString('en-US')}`];
      await seedRoom({ store, room, chats, textBytes: TEXT_BYTES, progress });
      const pages: Record<string, () => number | undefined> = {
        'the newest page': () => undefined,
        // The first entry of a room is its creation.
        'a page anywhere': () => PAGE + 2 + Math.floor(Math.random() * (chats - PAGE + 1)),
      };
      for (const [which, before] of Object.entries(pages)) {
        const read = async () => {
          const at = before();
          const page = await store.readPage(room, { limit: PAGE, listed: true, ...(at !== undefined && { before: at }) });
          if (page.entries.length !== PAGE) throw new Error(`A page of ${PAGE} chats has ${page.entries.length}.`);
        };
        await timeEach(repeats, read);
        rows.push(toRow(which, name, await timeEach(repeats, read)));
      }
    }
    await store.close();
    const how = `${repeats} times one after the other, after as many to warm up; texts of ${TEXT_BYTES} bytes, files in the cache of the system`;
    return { title: `Pages of ${PAGE} chats in the store`, note: `Reads of the embedded store: ${how}.`, columns, rows };
  });

const measureMembers = ({ folder, quick, progress }: BenchContext): Promise<Table> =>
  withServerOf(ENGAWA, folder, async ({ url }) => {
    const { members, warmUp, repeats } = quick ? QUICK : FULL;
    const clients: SocketIoClient[] = [];
    while (clients.length * NAMES_PER_CONNECTION < members) clients.push(await connectTo(url));
    await grow(clients, { roomId: 'warm-up', members: warmUp });
    progress(`${members} members join and react`);
    const { joins, reactions } = await grow(clients, { roomId: 'growing', members });
    for (const client of clients) client.end();
    const last = `the last of ${members.toLocaleString('en-US')}`;
    const rows = Object.entries({ 'add:member': joins, 'add:reaction': reactions }).flatMap(([what, times]) => [
      toRow(what, 'the first', times.slice(0, repeats)),
      toRow(what, last, times.slice(-repeats)),
    ]);
    const note = `Members join a room, then each reacts to one chat, one after the other. From sending to the acknowledgement, each on the disk; ${repeats} of each.`;
    return { title: 'The last member beside the first', note, columns, rows };
  });

async function grow(
  clients: SocketIoClient[],
  { roomId, members }: { roomId: string; members: number },
): Promise<{ joins: number[]; reactions: number[] }> {
  const client = (number: number) => clients[Math.floor(number / NAMES_PER_CONNECTION)] as SocketIoClient;
  const member = (number: number) => ({ roomId, username: `member-${number}` });
  await client(0).request('create:room', member(0));
  const { seq: chatSeq } = await client(0).request('create:chat', { ...member(0), message: 'What do you think?' });
  const joins = await timeEach(members - 1, (number) => client(number + 1).request('add:member', member(number + 1)));
  const reactions = await timeEach(members, (number) =>
    client(number).request('add:reaction', { ...member(number), chatSeq, reaction: '👍' }),
  );
  return { joins, reactions };
}

/** Milliseconds of each. */
async function timeEach(count: number, act: (number: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  while (times.length < count) {
    const start = performance.now();
    await act(times.length);
    times.push(performance.now() - start);
  }
  return times;
}
