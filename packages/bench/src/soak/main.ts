// The `npm run soak` command.
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { progressOn } from '../report/progress.ts';
import { detectLeaks, type Sample } from './leak-check.ts';
import { runSoak } from './soak.ts';

const HELP = `npm run soak -- [--minutes N] [--folder DIR]

  --minutes N   how long (10)
  --folder DIR  parent of the data folder (${tmpdir()})`;

/** Minimum number of samples, and the time between two. */
const MIN_CYCLES = 24;
const CYCLE_MS = 60_000;
const MINUTE_MS = 60_000;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    folder: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
});
const minutes = Number(options.minutes);
if (options.help || !(minutes > 0)) {
  console.log(HELP);
  process.exitCode = options.help ? 0 : 2;
} else {
  await run(minutes);
}

async function run(duration: number): Promise<void> {
  const cycles = Math.max(Math.round((duration * MINUTE_MS) / CYCLE_MS), MIN_CYCLES);
  const progress = progressOn(process.stderr);
  progress.begin('soak');
  const samples = await runSoak({
    folder: options.folder,
    cycles,
    cycleMs: (duration * MINUTE_MS) / cycles,
    onSample: (sample, cycle) => progress.say(`${cycle + 1} of ${cycles}: ${describe(sample)}`),
  });
  progress.end();
  const growth = detectLeaks(samples);
  for (const [name, sample] of Object.entries({ first: samples[0], last: samples.at(-1) }))
    console.log(`${name.padEnd(6)} ${describe(sample as Sample)}`);
  console.log(growth.length === 0 ? 'Nothing has grown.' : growth.join('\n'));
  process.exitCode = growth.length === 0 ? 0 : 1;
}

function describe({ visits, heap, external, resident, resources, live, listeners }: Sample): string {
  const mebi = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  const counts = Object.entries({ ...resources, ...live }).map(([name, count]) => `${name} ${count}`);
  return `${visits} visits, heap ${mebi(heap)}, external ${mebi(external)}, resident ${mebi(resident)} MiB, listeners ${listeners}, ${counts.join(', ')}`;
}
