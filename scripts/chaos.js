// Causes faults on purpose: `npm run chaos -- flood` and `-- fuzz` attack a server; the others repeat a test of `npm test` many
// times. Each repetition has a random seed; `SEED=n` repeats the choices of an earlier run.
import { install, run, stop } from './install.js';

/** Each test, the variable for the number of repetitions, and its default. */
const tests = {
  kill: { test: 'packages/server/test/kill.test.ts', variable: 'ROUNDS', times: '10000' },
  load: { test: 'packages/client/test/full-load.test.ts', variable: 'KILLS', times: '100' },
  redis: { test: 'packages/client/test/redis-rounds.test.ts', variable: 'ROUNDS', times: '1000', durability: 'replicated,fast' },
  resume: { test: 'packages/client/test/resume-rounds.test.ts', variable: 'ROUNDS', times: '10000' },
  simulation: { test: 'packages/client/test/simulation.test.ts', variable: 'SEEDS', times: '20000' },
};

const [name = 'help', ...args] = process.argv.slice(2);
const repeated = Object.hasOwn(tests, name) ? tests[name] : undefined;
if (!repeated && !['flood', 'fuzz'].includes(name)) stop(`npm run chaos -- ${['flood', 'fuzz', ...Object.keys(tests)].join('|')} [TIMES]`);

install('test');
process.exitCode = (repeated ? repeat(repeated) : attack()) ? 0 : 1;

function attack() {
  const quoted = [name, ...args].map((argument) => JSON.stringify(argument));
  return run(`tsc -b tsconfig.build.json && node packages/bench/dist/chaos/main.js ${quoted.join(' ')}`);
}

function repeat({ test, variable, times, durability }) {
  process.env[variable] = args[0] ?? times;
  process.env.SEED ||= String(Math.floor(Math.random() * 1e9));
  if (durability) process.env.DURABILITY ||= durability;
  return run(`tsc -b tsconfig.build.json && vitest run ${test} --project "in this process"`);
}
