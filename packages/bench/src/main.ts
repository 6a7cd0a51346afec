// The `npm run bench` command.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine } from './harness/machine-info.ts';
import { progressOn } from './report/progress.ts';
import { asJson, asMarkdown, asText, type Report, type Table } from './report/report.ts';
import { asSvg } from './report/svg-plot.ts';
import type { BenchContext, Scenario } from './scenario.ts';
import { accepted } from './scenarios/accepted.ts';
import { chatLoads } from './scenarios/chat-load.ts';
import { connections } from './scenarios/connections.ts';
import { deliveries } from './scenarios/deliveries.ts';
import { growth } from './scenarios/growth.ts';
import { idle } from './scenarios/idle.ts';
import { joins } from './scenarios/joins.ts';
import { profile } from './scenarios/profile.ts';
import { recovery } from './scenarios/recovery.ts';
import { redisAppends } from './scenarios/redis-appends.ts';
import { redisFaults } from './scenarios/redis-faults.ts';
import { redisSpread } from './scenarios/redis-spread.ts';
import { resume } from './scenarios/resume.ts';
import { start } from './scenarios/start.ts';
import { terminal } from './scenarios/terminal.ts';

/** Measured beside other servers, with a load that brings the server to its limit. */
const fanOut: Scenario[] = [deliveries, ...chatLoads, connections, joins, accepted];
const onRedis: Scenario[] = [redisAppends, redisSpread, redisFaults, idle];
const scenarios = [...fanOut, resume, recovery, growth, start, terminal, profile, ...onRedis];
const names = scenarios.map(({ name }) => name);
const groups: Record<string, Scenario[]> = { 'fan-out': fanOut, redis: onRedis };
const ROUNDS = 3;

const HELP = `npm run bench -- [--quick] [--rounds N] [--markdown] [--json FILE] [--svg FILE] [--folder DIR] [SCENARIO...]

  --quick      small and short; fan-out if no scenario is named
  --rounds N   rounds of fan-out (${ROUNDS}, or 1 with --quick)
  --markdown   print Markdown
  --json FILE  also write the figures to FILE
  --svg FILE   write the plot of deliveries to FILE
  --folder DIR parent of the data folders, and so the disk that is measured (${tmpdir()})
  SCENARIO     ${names.join(', ')};
               or ${Object.entries(groups)
                 .map(([name, members]) => `${name} for ${members.map((each) => each.name).join(', ')}`)
                 .join(';\n               or ')};
               all if none is named`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    json: { type: 'string' },
    svg: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
});
const defaults = options.quick ? ['fan-out'] : names;
const chosen = (positionals.length > 0 ? positionals : defaults).flatMap((name) => groups[name]?.map((scenario) => scenario.name) ?? name);
const rounds = Number(options.rounds ?? (options.quick ? 1 : ROUNDS));
const unknown = chosen.find((name) => !names.includes(name));
const isInvalid = unknown !== undefined || !(rounds >= 1);

if (options.help || isInvalid) {
  console.log(unknown === undefined ? HELP : `Unknown scenario: ${unknown}.\n\n${HELP}`);
  process.exitCode = isInvalid ? 2 : 0;
} else {
  const report = await run();
  console.log(options.markdown ? asMarkdown(report) : asText(report));
  if (options.json !== undefined) writeFileSync(options.json, asJson(report));
  const plot = report.tables.find((table) => table.plot)?.plot;
  if (options.svg !== undefined && plot) writeFileSync(options.svg, asSvg(plot));
}

async function run(): Promise<Report> {
  const progress = progressOn(process.stderr);
  const bench: BenchContext = { folder: resolve(options.folder), quick: options.quick, rounds, progress: progress.say };
  const machine = await describeMachine(bench.folder);
  const tables: Table[] = [];
  for (const scenario of scenarios.filter(({ name }) => chosen.includes(name))) {
    progress.begin(scenario.name);
    tables.push(...(await scenario.run(bench).catch((error: unknown) => [failureOf(scenario, error)])));
  }
  progress.end();
  return { machine: { ...machine, ...(options.quick && { form: 'QUICK: small and short, no measurement' }) }, tables };
}

/** A scenario that fails does not spoil the others. */
function failureOf({ name }: Scenario, error: unknown): Table {
  console.error(error);
  process.exitCode = 1;
  return { title: name, note: 'This could not be measured.', columns: [{ name: 'why' }], rows: [[(error as Error).message]] };
}
