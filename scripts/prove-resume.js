// `npm run prove:resume -- 10000`: so many rounds of kill -9 under clients that stay; SEED=n gives the choices of a former run.
import { install, run } from './set-up.js';

[process.env.ROUNDS = '10000'] = process.argv.slice(2);
install('test');
process.exitCode = run('tsc -b tsconfig.build.json && vitest run packages/client/test/resume-rounds.test.ts') ? 0 : 1;
