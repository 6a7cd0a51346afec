// `npm run chaos -- flood`: attacks a server and measures what it survives; `-- fuzz` sends it mutated packets.
import { install, run } from './install.js';

install('test');
const args = process.argv.slice(2).map((argument) => JSON.stringify(argument));
process.exitCode = run(`tsc -b tsconfig.build.json && node packages/bench/dist/chaos/main.js ${args.join(' ')}`) ? 0 : 1;
