// A reconnect storm: thousands of members return at once after a crash, while others chat.
import { randomBytes } from 'node:crypto';
import { type LoadGenerator, type ReturnMethod, type ReturnResult, withLoadGenerator } from '../generator/generator.ts';
import { runConcurrently } from '../generator/run-concurrently.ts';
import { connectTo } from '../generator/socketio-client.ts';
import { maxConnections } from '../harness/fd-limit.ts';
import { ENGAWA, start, withStorage } from '../harness/server-kinds.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { type LoadFigures, measureLoad, requireAllJoined, type TestBed } from '../harness/test-bed.ts';
import { residentBytes } from '../profiling/process-usage.ts';
import type { Cell } from '../report/report.ts';
import { percentile } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const FULL = { members: 10_000, measuredMs: 10_000 };
const QUICK = { members: 500, measuredMs: 2_000 };
const MEMBERS_PER_ROOM = 100;
const MISSED = 20;
const CHATTING = { name: 'chatting', rooms: 10, members: 5 };
const CHATS_PER_SECOND = 500;

const METHODS: ReturnMethod[] = ['resume:rooms', 'session recovery'];

const NOTE = [
  `Members of rooms of ${MEMBERS_PER_ROOM}, one connection each. The server is killed (-9) and started again on the same port and folder, each room gets ${MISSED} chats, and all members return at the same moment,`,
  'each until it has received all of them: with its session and `resume:rooms`, as the SDK does, or by session recovery, as a plain Socket.IO client does.',
  'A member whose attempt fails tries again at random after a quarter to half a second. Times are from that moment; lost are members that had not returned after a minute.',
  'A connection for which the queue of the kernel has no place is tried again by TCP after 1, 3, 7 … s.',
  `Chatting: ${CHATTING.rooms * CHATTING.members} members of other rooms, together ${CHATS_PER_SECOND} chats a second; from when a chat was due until a member received it, before and meanwhile.`,
  'Server CPU, in cores, meanwhile; the server has one core.',
].join(' ');

export const resume: Scenario = {
  name: 'resume',
  async run(bench) {
    const rows: Cell[][] = [];
    for (const how of METHODS) rows.push(toRow(how, await measure(bench, how)));
    return [
      {
        title: 'All return at once',
        note: NOTE,
        columns: [
          { name: 'how' },
          { name: 'members' },
          { name: 'lost' },
          { name: 'failures' },
          { name: 'p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'all', unit: 'ms' },
          { name: 'chatting before, p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'meanwhile, p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'server CPU' },
          { name: 'resident', unit: 'MiB' },
        ],
        rows,
      },
    ];
  },
};

interface Figures {
  returned: ReturnResult;
  before: LoadFigures;
  during: LoadFigures;
  resident: number;
}

function toRow(how: ReturnMethod, { returned: { times, lost, failures }, before, during, resident }: Figures): Cell[] {
  const shares = [0.5, 0.99, 1].map((share) => percentile(times, share));
  const chatting = [before, during].flatMap(({ p50, p99 }) => [p50, p99]);
  return [how, times.length + lost, lost, failures.length, ...shares, ...chatting, during.serverCpu, resident];
}

const measure = (bench: BenchContext, how: ReturnMethod): Promise<Figures> =>
  withStorage(ENGAWA, bench.folder, (storage) =>
    withLoadGenerator(async (members) => {
      const { members: wanted } = bench.quick ? QUICK : FULL;
      const roomIds = Array.from({ length: Math.floor(maxConnections(wanted) / MEMBERS_PER_ROOM) }, (_, room) => `room-${room}`);
      const author = new Author(roomIds);
      const first = await start(ENGAWA, storage);
      await author.createRooms(first.url);
      bench.progress(`${roomIds.length * MEMBERS_PER_ROOM} members join`);
      await members.joinReturning({ url: first.url, how, roomIds, membersPerRoom: MEMBERS_PER_ROOM });
      await author.send(first.url, 1);
      await members.awaitChats(1);
      await first.kill();
      const server = await start(ENGAWA, { ...storage, port: Number(new URL(first.url).port) });
      try {
        await author.send(server.url, MISSED);
        return await withLoadGenerator((generator) => measureReturn(bench, { how, server, members, generator }));
      } finally {
        await server.kill();
      }
    }),
  );

interface Storm {
  how: ReturnMethod;
  server: ServerProcess;
  members: LoadGenerator;
  /** Of the members that chat meanwhile. */
  generator: LoadGenerator;
}

async function measureReturn(bench: BenchContext, { how, server, members, generator }: Storm): Promise<Figures> {
  const target = { url: server.url, dialect: ENGAWA.dialect };
  const joinResult = await generator.join({ target, groups: [CHATTING], textBytes: 100, deadlineMs: 10_000 });
  requireAllJoined(joinResult);
  const { measuredMs } = bench.quick ? QUICK : FULL;
  const bed: TestBed = { kind: ENGAWA, server, generator, joinResult };
  const load = { perSecond: [CHATS_PER_SECOND], warmUpMs: 0, measuredMs, deadlineMs: 60_000 };
  const [before] = await measureLoad(bed, load);
  bench.progress(`all return, ${how}`);
  const returning = members.returnAll(server.url, MISSED);
  const [during] = await measureLoad(bed, load);
  const returned = await returning;
  for (const failure of new Set(returned.failures)) bench.progress(`an attempt failed: ${failure}`);
  return { returned, before: before as LoadFigures, during: during as LoadFigures, resident: residentBytes(server.pid) / 2 ** 20 };
}

/** Creates the rooms, and sends to all of them. */
class Author {
  readonly #auth = { session: randomBytes(24).toString('base64url') };
  readonly #roomIds: string[];

  constructor(roomIds: string[]) {
    this.#roomIds = roomIds;
  }

  async createRooms(url: string): Promise<void> {
    const client = await connectTo(url, { auth: this.#auth });
    await runConcurrently(this.#roomIds, {}, (roomId) => client.request('create:room', { roomId, username: 'author' }));
    client.end();
  }

  async send(url: string, chats: number): Promise<void> {
    const client = await connectTo(url, { auth: this.#auth });
    const all = Array.from({ length: chats }, () => this.#roomIds).flat();
    await runConcurrently(all, {}, (roomId) => client.request('create:chat', { roomId, username: 'author', message: 'x'.repeat(100) }));
    client.end();
  }
}
