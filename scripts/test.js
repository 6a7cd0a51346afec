// Runs every check: `npm test`. `npm test -- NAME` runs only test files with NAME in their path.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { install, root, run } from './install.js';

const published = readdirSync(join(root, 'packages'))
  .map((name) => ({ path: `packages/${name}`, ...readJson(`packages/${name}/package.json`) }))
  .filter((each) => !each.private);
const imported = published.filter((each) => each.exports);

/** The oldest versions without known vulnerabilities, for any place in the dependency tree. */
const floors = { 'engine.io': '6.6.9', 'socket.io-parser': '4.2.7', ws: '8.21.3' };
const belowFloor = Object.entries(floors).map(([name, version]) => `[name='${name}']:not(:semver(>=${version}))`);

/** Test files that also run on real Redis, once for each kind of Redis that applies (see vitest.config.ts). */
const onRedis = Object.values(readJson('scripts/redis-test-files.json')).flat();
const redisTests = [...onRedis, ...testFiles().filter((path) => /from '.*\/redis/.test(readFileSync(join(root, path), 'utf8')))];

const withProxies = testFiles().filter((path) => /from '.*\/reverse-proxies'/.test(readFileSync(join(root, path), 'utf8')));
const withCertificates = testFiles().filter((path) => /from '.*\/certificates'/.test(readFileSync(join(root, path), 'utf8')));
const withBrowser = testFiles().filter((path) => /from '.*\/browser\.ts'/.test(readFileSync(join(root, path), 'utf8')));

/** Programs that tests need: the Debian package, its program or Python module, and the tests. */
const systemPackages = [
  { name: 'chromium', program: '/usr/bin/chromium', neededBy: withBrowser },
  { name: 'redis-server', program: 'redis-server', neededBy: redisTests },
  { name: 'openssl', program: 'openssl', neededBy: [...redisTests, ...withCertificates] },
  ...['nginx', 'haproxy', 'apache2', 'caddy'].map((name) => ({
    name,
    program: name,
    neededBy: withProxies,
  })),
  { name: 'iproute2', program: 'ip', neededBy: ['packages/client/test/faults-on-redis/partitions.test.ts'] },
  { name: 'python3', program: '/usr/bin/python3', neededBy: ['packages/engawa/test/serve.test.ts'] },
  ...pythonPackages(['socketio', 'aiohttp', 'requests', 'websocket']),
];

const filters = process.argv.slice(2);
const isRun = (path) => filters.length === 0 || filters.some((name) => path.includes(name));
const isThere = ({ program, module }) =>
  run(module ? `/usr/bin/python3 -c 'import ${module}' 2>/dev/null` : `command -v ${program} >/dev/null`);
const missing = systemPackages.filter((each) => each.neededBy.some(isRun) && !isThere(each)).map(({ name }) => name);

const preparation = { name: 'system packages', commands: missing.length > 0 ? [installing(missing.join(' '))] : [] };
const build = { name: 'build and types', commands: ['tsc -b'] };
const checks = [
  { name: 'format and lint', commands: ['biome ci --colors=off --error-on-warnings'] },
  build,
  { name: 'typed lint, import rules', commands: ['oxlint'] },
  { name: 'dead code', commands: ['knip'] },
  {
    name: 'packages',
    commands: [
      ...published.map(({ path }) => `publint run --strict ${path}`),
      ...imported.map(({ path }) => `attw --pack ${path} --profile esm-only --format ascii --no-summary`),
    ],
  },
  { name: 'words', commands: ['node scripts/words.js'] },
  { name: 'README', commands: ['node scripts/readme.js'] },
  { name: 'version floors', commands: [`npm query "${belowFloor.join()}" --no-expect-results`] },
];

const failures = [];

install('test');
const results = (filters.length > 0 ? [preparation, build] : [preparation, ...checks]).map(({ name, commands }) =>
  timed(name, () => countChecks(commands)),
);
results.push(timed('tests', countTests));
report();

function pythonPackages(modules) {
  const neededBy = ['packages/client/test/client-libraries.test.ts'];
  return modules.map((module) => ({ name: `python3-${module}`, module, neededBy }));
}

/** Installs on Debian as root. Otherwise prints what to install, and the tests that need it fail. */
function installing(names) {
  const aptGet = 'DEBIAN_FRONTEND=noninteractive apt-get -q';
  return `${aptGet} update && ${aptGet} install -y --no-install-recommends ${names} || { echo "Tests need ${names}: please install it."; exit 1; }`;
}

function timed(name, count) {
  console.log(`\n=== ${name}`);
  const begun = performance.now();
  const counts = count();
  return { name, ...counts, seconds: (performance.now() - begun) / 1000 };
}

/** Runs all commands of a check. A failure does not stop the following checks. */
function countChecks(commands) {
  const succeeded = commands.map(run).every(Boolean);
  return { passed: Number(succeeded), failed: Number(!succeeded) };
}

/** Runs single tests. A test that did not run has failed, as has a file that did not load, and an aborted or empty run. */
function countTests() {
  const file = 'node_modules/.cache/tests.json';
  rmSync(join(root, file), { force: true });
  const names = filters.map((name) => JSON.stringify(name)).join(' ');
  const succeeded = run(`vitest run ${names} --reporter=default --reporter=json --outputFile.json=${file}`);
  const files = existsSync(join(root, file)) ? readJson(file).testResults : [];
  const tests = files.flatMap(({ status, assertionResults }) => (assertionResults.length > 0 ? assertionResults : [{ status }]));
  const passed = tests.filter(({ status }) => status === 'passed').length;
  const missed = missedOnRedis(files.map(({ name }) => relative(root, name)));
  if (missed.length > 0) console.log(`Did not run as often as it should: ${missed.join(', ')}`);
  const broken = !succeeded || passed === 0;
  for (const { name, message, assertionResults } of files) {
    if (assertionResults.length === 0) failures.push(`${relative(root, name)}: ${firstLine(message)}`);
    for (const { status, fullName, failureMessages } of assertionResults)
      if (status !== 'passed') failures.push(`${relative(root, name)}: ${fullName}: ${firstLine(failureMessages?.[0])}`);
  }
  return { passed, failed: Math.max(tests.length - passed + missed.length, Number(broken)) };
}

/** The beginning of the failure message. */
function firstLine(message) {
  return stripVTControlCharacters(message ?? 'did not run')
    .split('\n', 1)[0]
    .slice(0, 200);
}

/** Each file runs once in this process, and once on each Redis that it is listed for. */
function missedOnRedis(ran) {
  const due = [...new Set(onRedis), ...onRedis].filter(isRun);
  for (const path of ran) if (due.includes(path)) due.splice(due.indexOf(path), 1);
  return due;
}

/** Repeats all failures at the end, where the last lines of a long log show them. */
function report() {
  console.log();
  for (const failure of failures) console.log(`FAILED  ${failure}`);
  for (const { name, failed, seconds } of results) {
    console.log(`${failed === 0 ? 'passed' : 'FAILED'}  ${name.padEnd(24)} ${seconds.toFixed(1).padStart(6)} s`);
  }
  const [passed, failed] = ['passed', 'failed'].map((key) => results.reduce((sum, result) => sum + result[key], 0));
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = Number(failed > 0);
}

function testFiles() {
  const names = readdirSync(join(root, 'packages'), { recursive: true, encoding: 'utf8' }).map((name) => `packages/${name}`);
  return names.filter((path) => path.endsWith('.test.ts') && !path.includes('node_modules'));
}

function readJson(path) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}
