import { defineConfig } from 'vitest/config';
import onRedis from './scripts/redis-test-files.json' with { type: 'json' };

export default defineConfig({
  test: {
    // Processes, because tests start worker threads and servers, and some end a process the hard way.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A forgotten `.only` would leave the other tests out unseen.
    allowOnly: false,
    projects: [
      { extends: true, test: { name: 'in this process', include: ['packages/*/test/**/*.test.ts'] } },
      // What goes through the store runs on real Redis, too.
      ...Object.entries(onRedis).map(([name, include]) => ({
        extends: true as const,
        test: { name, include, globalSetup: 'packages/testkit/src/redis/redis-project.ts' },
      })),
    ],
  },
});
