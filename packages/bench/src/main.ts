import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.ts';
import { asJson, asMarkdown, asText, type Report, type Table } from './report.ts';
import type { Bench } from './scenario.ts';
import { acknowledged } from './scenarios/acknowledged.ts';
import { growth } from './scenarios/growth.ts';
import { idle } from './scenarios/idle.ts';
import { pages } from './scenarios/pages.ts';
import { recovery } from './scenarios/recovery.ts';
import { redisAppends } from './scenarios/redis-appends.ts';
import { redisFaults } from './scenarios/redis-faults.ts';
import { redisLatency } from './scenarios/redis-latency.ts';
import { redisMemory } from './scenarios/redis-memory.ts';
import { redisSpread } from './scenarios/redis-spread.ts';
import { resume } from './scenarios/resume.ts';
import { start } from './scenarios/start.ts';

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
];
const names = scenarios.map(({ name }) => name);

const HELP = `npm run bench -- [--markdown] [--json FILE] [--folder DIR] [SCENARIO...]

  --markdown   print Markdown instead of plain text
  --json FILE  write the figures to FILE as well
  --folder DIR where data folders are made for the time being, and so the disk that is measured (${tmpdir()})
  SCENARIO     ${names.join(', ')}; all when none is named`;

const { values: options, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: {
    markdown: { type: 'boolean', default: false },
    json: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
});

function say(what: string): void {
  console.error(`${performance.now().toFixed(0).padStart(7)} ms  ${what}`);
}

async function run(): Promise<Report> {
  const bench: Bench = { folder: resolve(options.folder), progress: say };
  const machine = await describeMachine(bench.folder);
  const tables: Table[] = [];
  for (const scenario of scenarios.filter(({ name }) => asked.length === 0 || asked.includes(name))) {
    say(scenario.name);
    tables.push(...(await scenario.run(bench)));
  }
  return { machine, tables };
}

const unknown = asked.find((name) => !names.includes(name));
if (options.help || unknown !== undefined) {
  console.log(unknown === undefined ? HELP : `There is no scenario "${unknown}".\n\n${HELP}`);
  process.exitCode = unknown === undefined ? 0 : 2;
} else {
  const report = await run();
  console.log(options.markdown ? asMarkdown(report) : asText(report));
  if (options.json !== undefined) writeFileSync(options.json, asJson(report));
}
