import { setTimeout as sleep } from 'node:timers/promises';
import { withNewServer } from '../harness/server-process.ts';
import { withAckLoad } from '../load/ack-load.ts';
import { RawClient } from '../load/raw-client.ts';
import { residentBytes } from '../profiling/process-usage.ts';
import { medians } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const STARTS = 5;
const REST_MS = 3_000;
const MEMBERS = 1_000;
const ROOMS = 100;

const MEMORY_NOTE = [
  `VmRSS of the server process ${REST_MS / 1000} s after the last join, one connection a member, in ${ROOMS} rooms of ${MEMBERS / ROOMS},`,
  'then in as many rooms again. No garbage collection is forced: the first step holds what the heap grew by for good, the second is',
  'nearer to what a member costs. The kernel keeps some memory a connection beside it.',
].join(' ');

export const start: Scenario = {
  name: 'start',
  async run(bench) {
    const { listening, connected } = await measureStarts(bench);
    const { atRest, withMembers, withTwice } = await measureMemory(bench);
    return [
      {
        title: 'Start-up',
        note: `From spawning the process, with a new data folder, on a warm file cache. Median of ${STARTS} starts.`,
        columns: [{ name: 'until' }, { name: 'time', unit: 'ms' }],
        rows: [
          ['it says that it listens', listening],
          ['a client is connected', connected],
        ],
      },
      {
        title: 'Memory at rest',
        note: MEMORY_NOTE,
        columns: [{ name: 'state' }, { name: 'resident', unit: 'MiB' }, { name: 'more, a member', unit: 'KiB' }],
        rows: [
          ['started', atRest / 2 ** 20, Number.NaN],
          [`${MEMBERS.toLocaleString('en-US')} joined`, withMembers / 2 ** 20, (withMembers - atRest) / MEMBERS / 1024],
          [`${(2 * MEMBERS).toLocaleString('en-US')} joined`, withTwice / 2 ** 20, (withTwice - withMembers) / MEMBERS / 1024],
        ],
      },
    ];
  },
};

async function measureStarts({ folder, progress }: BenchContext): Promise<Record<'listening' | 'connected', number>> {
  const starts = [];
  while (starts.length < STARTS) {
    progress(`start ${starts.length + 1} of ${STARTS}`);
    starts.push(
      await withNewServer(folder, async ({ url, spawnedAt, listeningAt }) => {
        const client = await RawClient.connect(url);
        const connectedAt = performance.now();
        client.close();
        return { listening: listeningAt - spawnedAt, connected: connectedAt - spawnedAt };
      }),
    );
  }
  return medians(starts);
}

function measureMemory({ folder, progress }: BenchContext): Promise<Record<'atRest' | 'withMembers' | 'withTwice', number>> {
  return withNewServer(folder, ({ url, pid }) =>
    withAckLoad(async (load) => {
      const residentAfterRest = async () => {
        await sleep(REST_MS);
        return residentBytes(pid);
      };
      const joinMore = async () => {
        progress(`${MEMBERS} members join`);
        await load.join({ url, connections: MEMBERS, rooms: ROOMS, members: 'all' });
        return residentAfterRest();
      };
      return { atRest: await residentAfterRest(), withMembers: await joinMore(), withTwice: await joinMore() };
    }),
  );
}
