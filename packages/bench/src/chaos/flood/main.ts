// The `npm run chaos -- flood` command.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../harness/machine-info.ts';
import { progressOn } from '../../report/progress.ts';
import { asJson, asMarkdown, asText, type Report } from '../../report/report.ts';
import type { Attack } from './attack.ts';
import { attacks } from './attacks.ts';
import { type FloodResult, failuresOf, floodWith } from './flood.ts';
import { floodTable } from './report.ts';

const SECONDS = 20;
const RECOVERY_SECONDS = 60;

export const FLOOD_HELP = `npm run chaos -- flood [--list] [--only NAME]... [--seconds N] [--recovery N] [--markdown] [--json FILE] [--folder DIR]

  Attacks a fresh server again and again, and measures two of its members meanwhile. Fails when a server ends, keeps memory,
  drops or forgets what the members send, or allows what it must not; latencies are reported and fail nothing.

  --list        the attacks, what each does, and the groups of docs/security-coverage.md that it covers
  --only NAME   that attack alone; may be given several times
  --seconds N   of each attack (${SECONDS})
  --recovery N  seconds in which memory must be back after it (${RECOVERY_SECONDS})
  --markdown    print Markdown instead of plain text
  --json FILE   write the figures to FILE as well
  --folder DIR  where data folders are made for the time being (${tmpdir()})`;

/** Resolves with the exit code. */
export async function floodCommand(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options.help) return print(FLOOD_HELP);
  if (options.list) return print(attacks.map(describeAttack).join('\n'));
  const names = options.only ?? attacks.map(({ name }) => name);
  const unknown = names.find((name) => !attacks.some((attack) => attack.name === name));
  if (unknown !== undefined) return print(`There is no attack "${unknown}"; --list names them.`, 2);
  const results = await runAll(
    attacks.filter(({ name }) => names.includes(name)),
    options,
  );
  const report: Report = { machine: await describeMachine(options.folder), tables: [floodTable(results, options)] };
  if (options.json !== undefined) writeFileSync(options.json, asJson(report));
  return print(
    options.markdown ? asMarkdown(report) : asText(report),
    results.length < names.length || results.some((result) => failuresOf(result).length > 0) ? 1 : 0,
  );
}

async function runAll(asked: readonly Attack[], { folder, seconds, recovery }: ReturnType<typeof readOptions>): Promise<FloodResult[]> {
  const progress = progressOn(process.stderr);
  const results: FloodResult[] = [];
  for (const attack of asked) {
    progress.begin(attack.name);
    try {
      const result = await floodWith(attack, { folder, seconds, recoverySeconds: recovery });
      results.push(result);
      progress.say(failuresOf(result).join('; ') || 'ok');
    } catch (error) {
      // An attack that could not be measured does not invalidate the others.
      progress.say(`could not be measured: ${(error as Error).message}`);
    }
  }
  progress.end();
  return results;
}

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      list: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      seconds: { type: 'string', default: String(SECONDS) },
      recovery: { type: 'string', default: String(RECOVERY_SECONDS) },
      markdown: { type: 'boolean', default: false },
      json: { type: 'string' },
      folder: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  });
  const [seconds, recovery] = [Number(values.seconds), Number(values.recovery)];
  return { ...values, seconds, recovery, help: values.help || !(seconds > 0) || !(recovery >= 0) };
}

const describeAttack = ({ name, what, groups }: Attack): string => `${name.padEnd(30)} ${what} [${groups.join(', ')}]`;

function print(text: string, exitCode = 0): number {
  console.log(text);
  return exitCode;
}
