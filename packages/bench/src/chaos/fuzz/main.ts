// The `npm run chaos -- fuzz` command.
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { progressOn } from '../../report/progress.ts';
import { type FuzzOptions, type FuzzReport, fuzz } from './fuzz.ts';
import { type FuzzCase, makeCase } from './fuzz-case.ts';
import { faultOf, shrink } from './shrink.ts';

const PACKETS = 1_000_000;
const SHOWN_CHARACTERS = 300;
const SHOWN_PACKETS = 20;

export const FUZZ_HELP = `npm run chaos -- fuzz [--packets N] [--seed N] [--rate-limits on|off|both] [--case N] [--folder DIR]

  Sends valid packets, half of them mutated, over WebSocket and polling to a server in which two members chat. Fails when the
  server ends, logs an error, answers neither with an answer nor by closing, harms the two, or keeps memory.

  --packets N     number of packets (${PACKETS.toLocaleString('en-US')})
  --seed N        seed of the random generator; a random one by default
  --rate-limits   off removes the rate limits, so that the server accepts all packets; both runs one half each way (both)
  --case N        only this case, to repeat a failure
  --folder DIR    where temporary data folders are created (${tmpdir()})`;

/** Resolves with the exit code. */
export async function fuzzCommand(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options.help) {
    console.log(FUZZ_HELP);
    return 0;
  }
  console.log(`seed ${options.seed}`);
  if (options.case !== undefined) return repeatCase(options.case, options);
  let failed = false;
  for (const rateLimits of options.allRateLimits) {
    const packets = options.packets / options.allRateLimits.length;
    const report = await runWith({ folder: options.folder, seed: options.seed, rateLimits, packets, seconds: Infinity });
    console.log(describe(report, rateLimits));
    failed ||= report.faults.length > 0;
    if (report.suspects.length > 0) await explain(report, { folder: options.folder, rateLimits });
  }
  return failed ? 1 : 0;
}

async function runWith(options: FuzzOptions): Promise<FuzzReport> {
  const progress = progressOn(process.stderr);
  let saidAt = 0;
  progress.begin(`fuzz, rate limits ${options.rateLimits}`);
  const onProgress = ({ packets, cases }: { packets: number; cases: number }): void => {
    if (performance.now() - saidAt < 1_000) return;
    saidAt = performance.now();
    progress.say(`${packets.toLocaleString('en-US')} packets, ${cases} cases`);
  };
  const report = await fuzz({ ...options, onProgress });
  progress.end();
  return report;
}

const describe = ({ packets, cases, seconds, faults }: FuzzReport, rateLimits: string): string =>
  [
    `rate limits ${rateLimits}: ${packets.toLocaleString('en-US')} packets in ${cases.toLocaleString('en-US')} cases, ${Math.round(packets / seconds).toLocaleString('en-US')} a second`,
    ...(faults.length === 0 ? ['nothing to report'] : faults),
  ].join('\n');

async function explain({ suspects }: FuzzReport, place: Pick<FuzzOptions, 'folder' | 'rateLimits'>): Promise<void> {
  const found = await shrink(suspects, place);
  if (!found) {
    console.log(`None of these cases fails by itself: ${suspects.map(({ number }) => number).join(', ')}. The whole run repeats it.`);
    return;
  }
  console.log(
    `${found.fault}\nRepeat it with: npm run chaos -- fuzz --seed ${found.culprit.seed} --rate-limits ${place.rateLimits} --case ${found.culprit.number}`,
  );
  console.log(`What is needed of it:\n${show(found.culprit)}`);
}

async function repeatCase(number: number, { seed, folder, allRateLimits }: ReturnType<typeof readOptions>): Promise<number> {
  const culprit = makeCase(seed, number);
  console.log(show(culprit));
  let failed = false;
  for (const rateLimits of allRateLimits) {
    const fault = await faultOf(culprit, { folder, rateLimits });
    console.log(`rate limits ${rateLimits}: ${fault ?? 'nothing to report'}`);
    failed ||= fault !== undefined;
  }
  return failed ? 1 : 0;
}

function show({ visits }: FuzzCase): string {
  const shown = (value: object): string => JSON.stringify(value).slice(0, SHOWN_CHARACTERS);
  return visits
    .flatMap(({ transport, auth, mutatedConnect, packets }) => [
      `over ${transport}, as ${shown(auth)}`,
      ...[...mutatedConnect, ...packets.slice(0, SHOWN_PACKETS)].map((packet) => `  ${shown(packet)}`),
      ...(packets.length > SHOWN_PACKETS ? [`  and ${packets.length - SHOWN_PACKETS} more`] : []),
    ])
    .join('\n');
}

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      packets: { type: 'string', default: String(PACKETS) },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
      'rate-limits': { type: 'string', default: 'both' },
      case: { type: 'string' },
      folder: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  });
  const { 'rate-limits': setting } = values;
  const allRateLimits: ('on' | 'off')[] = setting === 'on' || setting === 'off' ? [setting] : ['off', 'on'];
  const each = values.case === undefined ? undefined : Number(values.case);
  return { ...values, packets: Number(values.packets), seed: Number(values.seed), case: each, allRateLimits };
}
