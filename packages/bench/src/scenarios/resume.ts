import { setTimeout as sleep } from 'node:timers/promises';
import { withFolder } from '../clean-up.ts';
import { type Crowd, type Return, type Returned, withCrowd } from '../crowd.ts';
import { connectionsPossible } from '../open-files.ts';
import { residentBytes, usageOf } from '../process-usage.ts';
import type { Cell } from '../report.ts';
import type { Bench, Scenario } from '../scenario.ts';
import { type ServerProcess, startServer } from '../server-process.ts';
import { percentile } from '../statistics.ts';

const MEMBERS = 10_000;
const MEMBERS_PER_ROOM = 100;
/** Processes that they come from. */
const CROWDS = 2;
const MISSED = 20;
const TALKERS = { rooms: 10, membersPerRoom: 5, everyMs: 100 };
const BEFORE_MS = 5_000;

const ways: Return[] = ['resume:rooms', 'stock'];

/** Milliseconds, cores, bytes. */
interface Figures extends Returned {
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

function toRow(how: Return, { times, lost, failures, before, during, cpu, residentBefore, residentAfter }: Figures): Cell[] {
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

function measure({ folder, progress }: Bench, how: Return): Promise<Figures> {
  return withFolder(folder, (own) =>
    withCrowds(CROWDS, async (crowds) => {
      const url = await gatherAndKill(own, crowds, progress);
      const server = await startServer(own, Number(new URL(url).port));
      try {
        progress(`${MISSED} chats are said to each room`);
        for (const crowd of crowds) await crowd.say(url, MISSED);
        return await withCrowd((talkers) => measureReturn({ server, crowds, talkers, how, progress }));
      } finally {
        await server.stop();
      }
    }),
  );
}

/** Resolves with the address that the server had. */
async function gatherAndKill(folder: string, crowds: Crowd[], progress: Bench['progress']): Promise<string> {
  const server = await startServer(folder);
  try {
    const rooms = Math.floor(connectionsPossible(MEMBERS) / MEMBERS_PER_ROOM / CROWDS);
    progress(`${rooms * MEMBERS_PER_ROOM * CROWDS} members join`);
    const gather = (crowd: Crowd, number: number) =>
      crowd.gather({ url: server.url, name: `crowd-${number}`, rooms, membersPerRoom: MEMBERS_PER_ROOM });
    await Promise.all(crowds.map(gather));
  } finally {
    await server.kill();
  }
  return server.url;
}

interface Returning {
  server: ServerProcess;
  crowds: Crowd[];
  talkers: Crowd;
  how: Return;
  progress: Bench['progress'];
}

async function measureReturn({ server: { url, pid }, crowds, talkers, how, progress }: Returning): Promise<Figures> {
  await talkers.gather({ url, name: 'talkers', ...TALKERS });
  await talkers.talk(TALKERS.everyMs);
  await sleep(BEFORE_MS);
  const before = await talkers.hush();
  progress(`all come back, ${how}`);
  await talkers.talk(TALKERS.everyMs);
  const [begun, cpuBefore, residentBefore] = [performance.now(), usageOf(pid).cpu, residentBytes(pid)];
  const returned = await Promise.all(crowds.map((crowd) => crowd.comeBack(url, how, MISSED)));
  const cpu = (usageOf(pid).cpu - cpuBefore) / ((performance.now() - begun) / 1000);
  for (const failure of new Set(returned.flatMap(({ failures }) => failures))) progress(`  an attempt failed: ${failure}`);
  return { ...sumOf(returned), before, during: await talkers.hush(), cpu, residentBefore, residentAfter: residentBytes(pid) };
}

const sumOf = (all: Returned[]): Returned => ({
  times: all.flatMap(({ times }) => times),
  lost: all.reduce((sum, { lost }) => sum + lost, 0),
  failures: all.flatMap(({ failures }) => failures),
});

function withCrowds<Result>(count: number, use: (crowds: Crowd[]) => Promise<Result>): Promise<Result> {
  return count === 0 ? use([]) : withCrowd((crowd) => withCrowds(count - 1, (others) => use([crowd, ...others])));
}
