// How long chats wait while Redis restarts.
import { withNodes } from '../harness/clusters.ts';
import { freePort, startRedis } from '../harness/redis-process.ts';
import { ENGAWA_ON_REDIS } from '../harness/server-kinds.ts';
import { type FaultEffect, SteadyLoad } from '../load/steady-load.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { type BenchContext, measureInTurn, type Scenario } from '../scenario.ts';

const ROUNDS = { full: 3, quick: 1 };

const faults: { name: string; signal?: 'SIGTERM' | 'SIGKILL' }[] = [
  { name: 'none' },
  { name: 'a restart of Redis', signal: 'SIGTERM' },
  { name: 'kill -9 of Redis, and a start', signal: 'SIGKILL' },
];

const NOTE = [
  'Two servers on one new Redis (append-only file, synced every second). A member sends a chat every 20 ms over the first, and repeats it when it is refused; another receives them from the second.',
  'Redis is back: until it accepted connections again. Of the chats since the fault: how long the slowest took until it was acknowledged, and until it was received; and how many were not received.',
].join(' ');

export const redisFaults: Scenario = {
  name: 'redis-faults',
  async run(bench) {
    const rounds = bench.quick ? ROUNDS.quick : ROUNDS.full;
    const effects = await measureInTurn(faults, rounds, (fault) => measure(bench, fault));
    return [
      {
        title: 'Faults of Redis',
        note: `${NOTE} Medians of ${rounds} rounds.`,
        columns: [
          { name: 'fault' },
          { name: 'Redis is back', unit: 'ms' },
          { name: 'acknowledged', unit: 'ms' },
          { name: 'received', unit: 'ms' },
          { name: 'not received' },
        ],
        rows: faults.map(({ name }, index) => {
          const { fault, acknowledged, received, missing } = effects[index] as FaultEffect;
          return [name, ...[fault, acknowledged, received].map(Math.round), missing];
        }),
      },
    ];
  },
};

const measure = ({ folder: parent, progress }: BenchContext, { name, signal }: (typeof faults)[number]): Promise<FaultEffect> =>
  withTempFolder(parent, async (folder) => {
    progress(name);
    let redis = await startRedis(folder, await freePort());
    async function restart(): Promise<void> {
      if (signal === undefined) return;
      await redis.end(signal);
      redis = await redis.startAgain();
    }
    try {
      return await withNodes(ENGAWA_ON_REDIS, { redisUrl: redis.url, count: 2 }, async ([first, second]) => {
        const load = await SteadyLoad.begin('veranda', [String(first?.url), String(second?.url)]);
        const effect = await load.during(restart);
        load.close();
        return effect;
      });
    } finally {
      await redis.end('SIGTERM');
    }
  });
