import { install, run } from './install.js';

/** Runs a test as often as the command line says, and from another seed each time; `SEED=n` gives the choices of a former run. */
export function prove(test, variable, times) {
  [process.env[variable] = times] = process.argv.slice(2);
  process.env.SEED ||= String(Math.floor(Math.random() * 1e9));
  install('test');
  process.exitCode = run(`tsc -b tsconfig.build.json && vitest run ${test} --project "in this process"`) ? 0 : 1;
}
