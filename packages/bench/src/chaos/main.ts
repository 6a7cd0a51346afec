// The `npm run chaos` command.
import { FLOOD_HELP, floodCommand } from './flood/main.ts';
import { FUZZ_HELP, fuzzCommand } from './fuzz/main.ts';

const [command, ...args] = process.argv.slice(2);
const commands: Record<string, (args: string[]) => Promise<number>> = { flood: floodCommand, fuzz: fuzzCommand };

const run = commands[command ?? ''];
if (run) {
  process.exitCode = await run(args);
} else {
  console.log(`${FLOOD_HELP}\n\n${FUZZ_HELP}`);
  process.exitCode = command === undefined ? 0 : 2;
}
