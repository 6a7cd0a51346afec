// Runs the benchmarks: `npm run bench -- [--markdown] [--json FILE] [SCENARIO ...]`; see docs/benchmarks.md.
import { install, run } from './install.js';

install('test');
const args = process.argv.slice(2).map((argument) => JSON.stringify(argument));
process.exitCode = run(`tsc -b tsconfig.build.json && node packages/bench/dist/main.js ${args.join(' ')}`) ? 0 : 1;
