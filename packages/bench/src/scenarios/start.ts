// How long a server takes to start, and its memory before the first connection.
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo } from '../generator/socketio-client.ts';
import { ENGAWA, start as startServer, withStorage } from '../harness/server-kinds.ts';
import { residentBytes } from '../profiling/process-usage.ts';
import { medians } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const STARTS = { full: 5, quick: 2 };
const SETTLE_MS = 3_000;

export const start: Scenario = {
  name: 'start',
  async run(bench) {
    const starts = bench.quick ? STARTS.quick : STARTS.full;
    const rounds = [];
    while (rounds.length < starts) {
      bench.progress(`start ${rounds.length + 1} of ${starts}`);
      rounds.push(await measureStart(bench));
    }
    const { listening, connected, resident } = medians(rounds);
    return [
      {
        title: 'Start',
        note: `From the start of the process with a new data folder and a warm file cache. Resident: VmRSS ${SETTLE_MS / 1000} s later. Medians of ${starts} starts, on any core.`,
        columns: [
          { name: 'listening', unit: 'ms' },
          { name: 'a client is connected', unit: 'ms' },
          { name: 'resident', unit: 'MiB' },
        ],
        rows: [[listening, connected, resident]],
      },
    ];
  },
};

const measureStart = ({ folder }: BenchContext): Promise<Record<'listening' | 'connected' | 'resident', number>> =>
  withStorage(ENGAWA, folder, async (storage) => {
    const { url, pid, spawnedAt, listeningAt, stop } = await startServer(ENGAWA, storage, { isPinned: false });
    const client = await connectTo(url);
    const connectedAt = performance.now();
    client.end();
    await sleep(SETTLE_MS);
    const resident = residentBytes(pid) / 2 ** 20;
    await stop();
    return { listening: listeningAt - spawnedAt, connected: connectedAt - spawnedAt, resident };
  });
