// Runs the soak test: clients connect and disconnect for MINUTES while memory must not grow: `npm run soak -- [--minutes N]`.
import { install, run } from './install.js';

install('test');
const args = process.argv.slice(2).map((argument) => JSON.stringify(argument));
process.exitCode = run(`tsc -b tsconfig.build.json && node packages/bench/dist/soak/main.js ${args.join(' ')}`) ? 0 : 1;
