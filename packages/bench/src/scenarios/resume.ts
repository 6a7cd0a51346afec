import { setTimeout as sleep } from 'node:timers/promises';
import { maxConnections } from '../harness/fd-limit.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { type ReconnectMethod, type ReconnectStorm, type StormResult, withReconnectStorm } from '../load/reconnect-storm.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { cpuUsage, residentBytes } from '../profiling/process-usage.ts';
import type { Cell } from '../report/report.ts';
import { percentile } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const MEMBERS = 10_000;
const MEMBERS_PER_ROOM = 100;
/** Processes that they come from. */
const CROWDS = 2;
const MISSED = 20;
const TALKERS = { rooms: 10, membersPerRoom: 5, everyMs: 100 };
const BEFORE_MS = 5_000;

const ways: ReconnectMethod[] = ['resume:rooms', 'stock'];

/** Milliseconds, cores, bytes. */
interface Figures extends StormResult {
  before: number[];
  during: number[];
  cpu: number;
  residentBefore: number;
  residentAfter: number;
}

const NOTE = [
  `Members of rooms of ${MEMBERS_PER_ROOM}, one connection each, from ${CROWDS} processes. The server is killed (-9) and started again on the same`,
  `port and folder, somebody says ${MISSED} chats to each room, and all come back at the same moment, each until he has all of them:`,
  'with his session and resume:rooms, or as the stock client does, which shows its connection (pid) and the last event that it',
  'heard (offset). Whose connection fails tries again at random after a quarter to half a second. Times are from that moment;',
  'lost is who had not caught up after a minute. Whom the kernel cannot queue for the server, since too many wait, TCP lets try again',
  'after 1, 3, 7 … s, and a guest who comes later than the grace is a member no more.',
  `Talkers: ${TALKERS.rooms * TALKERS.membersPerRoom} members of other rooms, of whom each says a chat every ${TALKERS.everyMs} ms; from when it was due to its acknowledgement,`,
  `in the ${BEFORE_MS / 1000} s before and until all were back. Server CPU, in cores, of that time, and VmRSS at its beginning and its end.`,
  'All of it shares the cores of this machine.',
].join(' ');

export const resume: Scenario = {
  name: 'resume',
  async run(bench) {
    const rows: Cell[][] = [];
    for (const how of ways) rows.push(toRow(how, await measure(bench, how)));
    return [
      {
        title: 'All come back at once',
        note: NOTE,
        columns: [
          { name: 'how' },
          { name: 'members' },
          { name: 'lost' },
          { name: 'failures' },
          { name: 'p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'all', unit: 'ms' },
          { name: 'talkers before, p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'meanwhile, p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'server CPU' },
          { name: 'memory before', unit: 'MiB' },
          { name: 'after', unit: 'MiB' },
        ],
        rows,
      },
    ];
  },
};

function toRow(how: ReconnectMethod, { times, lost, failures, before, during, cpu, residentBefore, residentAfter }: Figures): Cell[] {
  const shares = [0.5, 0.99];
  return [
    how,
    times.length + lost,
    lost,
    failures.length,
    ...[...shares, 1].map((share) => percentile(times, share)),
    ...[before, during].flatMap((latencies) => shares.map((share) => percentile(latencies, share))),
    cpu,
    residentBefore / 2 ** 20,
    residentAfter / 2 ** 20,
  ];
}

function measure({ folder, progress }: BenchContext, how: ReconnectMethod): Promise<Figures> {
  return withTempFolder(folder, (own) =>
    withCrowds(CROWDS, async (crowds) => {
      const url = await gatherAndKill(own, crowds, progress);
      const server = await startServer(own, Number(new URL(url).port));
      try {
        progress(`${MISSED} chats are said to each room`);
        for (const crowd of crowds) await crowd.sendChats(url, MISSED);
        return await withReconnectStorm((talkers) => measureReturn({ server, crowds, talkers, how, progress }));
      } finally {
        await server.stop();
      }
    }),
  );
}

/** Resolves with the address that the server had. */
async function gatherAndKill(folder: string, crowds: ReconnectStorm[], progress: BenchContext['progress']): Promise<string> {
  const server = await startServer(folder);
  try {
    const rooms = Math.floor(maxConnections(MEMBERS) / MEMBERS_PER_ROOM / CROWDS);
    progress(`${rooms * MEMBERS_PER_ROOM * CROWDS} members join`);
    const gather = (crowd: ReconnectStorm, number: number) =>
      crowd.join({ url: server.url, name: `crowd-${number}`, rooms, membersPerRoom: MEMBERS_PER_ROOM });
    await Promise.all(crowds.map(gather));
  } finally {
    await server.kill();
  }
  return server.url;
}

interface Returning {
  server: ServerProcess;
  crowds: ReconnectStorm[];
  talkers: ReconnectStorm;
  how: ReconnectMethod;
  progress: BenchContext['progress'];
}

async function measureReturn({ server: { url, pid }, crowds, talkers, how, progress }: Returning): Promise<Figures> {
  await talkers.join({ url, name: 'talkers', ...TALKERS });
  await talkers.startChatting(TALKERS.everyMs);
  await sleep(BEFORE_MS);
  const before = await talkers.stopChatting();
  progress(`all come back, ${how}`);
  await talkers.startChatting(TALKERS.everyMs);
  const [begun, cpuBefore, residentBefore] = [performance.now(), cpuUsage(pid).cpu, residentBytes(pid)];
  const returned = await Promise.all(crowds.map((crowd) => crowd.reconnect(url, how, MISSED)));
  const cpu = (cpuUsage(pid).cpu - cpuBefore) / ((performance.now() - begun) / 1000);
  for (const failure of new Set(returned.flatMap(({ failures }) => failures))) progress(`  an attempt failed: ${failure}`);
  return { ...sumOf(returned), before, during: await talkers.stopChatting(), cpu, residentBefore, residentAfter: residentBytes(pid) };
}

const sumOf = (all: StormResult[]): StormResult => ({
  times: all.flatMap(({ times }) => times),
  lost: all.reduce((sum, { lost }) => sum + lost, 0),
  failures: all.flatMap(({ failures }) => failures),
});

function withCrowds<Result>(count: number, use: (crowds: ReconnectStorm[]) => Promise<Result>): Promise<Result> {
  return count === 0 ? use([]) : withReconnectStorm((crowd) => withCrowds(count - 1, (others) => use([crowd, ...others])));
}
