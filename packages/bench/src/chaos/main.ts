/** `npm run chaos`: attacks on a server, and what it survives. */
import { FLOOD_HELP, floodCommand } from './flood/main.ts';

const [command, ...args] = process.argv.slice(2);
const commands: Record<string, (args: string[]) => Promise<number>> = { flood: floodCommand };

const run = commands[command ?? ''];
if (run) {
  process.exitCode = await run(args);
} else {
  console.log(FLOOD_HELP);
  process.exitCode = command === undefined ? 0 : 2;
}
