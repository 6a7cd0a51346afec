import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts'],
    // Processes, because tests start worker threads and servers, and some end a process the hard way.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // A forgotten `.only` would leave the other tests out unseen.
    allowOnly: false,
  },
});
