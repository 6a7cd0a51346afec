import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine } from './harness/machine-info.ts';
import { installBun } from './harness/server-kinds.ts';
import { progressOn } from './report/progress.ts';
import { asJson, asMarkdown, asText, type Report, type Table, withSection } from './report/report.ts';
import { asSvg } from './report/svg-plot.ts';
import type { BenchContext, Scenario } from './scenario.ts';
import { accepted } from './scenarios/accepted.ts';
import { acknowledged } from './scenarios/acknowledged.ts';
import { chatLoads } from './scenarios/chat-load.ts';
import { connections } from './scenarios/connections.ts';
import { deliveries } from './scenarios/deliveries.ts';
import { growth } from './scenarios/growth.ts';
import { idle } from './scenarios/idle.ts';
import { joins } from './scenarios/joins.ts';
import { pages } from './scenarios/pages.ts';
import { profile } from './scenarios/profile.ts';
import { recovery } from './scenarios/recovery.ts';
import { redisAppends } from './scenarios/redis-appends.ts';
import { redisFaults } from './scenarios/redis-faults.ts';
import { redisLatency } from './scenarios/redis-latency.ts';
import { redisMemory } from './scenarios/redis-memory.ts';
import { redisSpread } from './scenarios/redis-spread.ts';
import { resume } from './scenarios/resume.ts';
import { start } from './scenarios/start.ts';
import { terminal } from './scenarios/terminal.ts';

/** What is measured beside peers, with a load of which the server is the limit. */
const fanOut: Scenario[] = [deliveries, ...chatLoads, connections, joins, accepted];
const scenarios = [
  acknowledged,
  start,
  pages,
  growth,
  recovery,
  resume,
  redisAppends,
  redisLatency,
  redisSpread,
  redisMemory,
  redisFaults,
  idle,
  terminal,
  profile,
  ...fanOut,
];
const names = scenarios.map(({ name }) => name);
const FAN_OUT = 'fan-out';
const ROUNDS = 3;

const HELP = `npm run bench -- [--quick] [--rounds N] [--markdown] [--json FILE] [--svg FILE] [--into FILE] [--folder DIR] [SCENARIO...]

  --quick      small: ${FAN_OUT}, if no scenario is named, in two minutes
  --rounds N   of ${FAN_OUT}: ${ROUNDS}, or 1 when it is quick
  --markdown   print Markdown instead of plain text
  --json FILE  write the figures to FILE as well
  --svg FILE   write the plot of deliveries to FILE
  --into FILE  put the report between the two lines of FILE that name the bench, and the scenario if it is only one
  --folder DIR where data folders are made for the time being, and so the disk that is measured (${tmpdir()})
  --install-bun  install bun, which is a peer, if it is not on the PATH (some 100 MB, into node_modules/.cache)
  SCENARIO     ${names.join(', ')}, or ${FAN_OUT} for the last ${fanOut.length}; all when none is named`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    json: { type: 'string' },
    svg: { type: 'string' },
    into: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
    'install-bun': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const whole = options.quick ? [FAN_OUT] : names;
const asked = (positionals.length > 0 ? positionals : whole).flatMap((name) =>
  name === FAN_OUT ? fanOut.map((scenario) => scenario.name) : name,
);

async function run(): Promise<Report> {
  const progress = progressOn(process.stderr);
  const bench: BenchContext = { folder: resolve(options.folder), quick: options.quick, rounds, progress: progress.say };
  const machine = await describeMachine(bench.folder);
  const tables: Table[] = [];
  for (const scenario of scenarios.filter(({ name }) => asked.includes(name))) {
    progress.begin(scenario.name);
    tables.push(...(await scenario.run(bench).catch((error: unknown) => [failure(scenario, error)])));
  }
  progress.end();
  return { machine: { ...machine, ...(options.quick && { form: 'QUICK: small, and short, to look at and not to believe' }) }, tables };
}

/** What fails is told in its place, and spoils nothing that was measured before. */
function failure({ name }: Scenario, error: unknown): Table {
  console.error(error);
  process.exitCode = 1;
  return { title: name, note: 'This could not be measured.', columns: [{ name: 'why' }], rows: [[(error as Error).message]] };
}

const alone = asked.length === 1 ? asked[0] : undefined;
const rounds = Number(options.rounds ?? (options.quick ? 1 : ROUNDS));
const unknown = asked.find((name) => !names.includes(name));
const isMistaken = unknown !== undefined || !(rounds >= 1);
if (options.help || isMistaken) {
  console.log(unknown === undefined ? HELP : `There is no scenario "${unknown}".\n\n${HELP}`);
  process.exitCode = isMistaken ? 2 : 0;
} else {
  if (options['install-bun']) installBun();
  // A page without a place for the report is better found before than after.
  if (options.into !== undefined) withSection(readFileSync(options.into, 'utf8'), { machine: {}, tables: [] }, alone);
  const report = await run();
  console.log(options.markdown ? asMarkdown(report) : asText(report));
  if (options.json !== undefined) writeFileSync(options.json, asJson(report));
  const plot = report.tables.find((table) => table.plot)?.plot;
  if (options.svg !== undefined && plot) writeFileSync(options.svg, asSvg(plot));
  if (options.into !== undefined) writeFileSync(options.into, withSection(readFileSync(options.into, 'utf8'), report, alone));
}
