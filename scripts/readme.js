// Executes README.md: runs its commands as written, in a copy of the checkout and a new home: `npm run readme`.
// An unknown command is a failure. Needs port 3000 and the npm registry.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { root } from './install.js';

const MINUTE = 60_000;
const PORT = 3000;

const home = mkdtempSync(join(tmpdir(), 'engawa-readme-'));
const checkout = join(home, 'engawa');
const project = join(home, 'my-app');
const { npm_lifecycle_event: _, npm_command: __, ...inherited } = process.env;
const cache = spawnSync('npm', ['config', 'get', 'cache'], { encoding: 'utf8' }).stdout.trim();
const env = { ...inherited, HOME: home, npm_config_cache: cache, npm_config_prefer_offline: 'true', ENGAWA_LOG_LEVEL: 'silent' };

const children = new Set();
let cwd = checkout;
let server;
/** The chat clients that are running. */
let talkers = [];

/** How to run a command line, by its form. */
const kinds = [
  { form: /^npm start\b|^npx engawa serve\b/, act: serve },
  { form: /npx engawa chat /, act: talk },
  { form: /^npx engawa wait /, act: waitFor },
  { form: /npx engawa send |npm run pack|npm install/, act: finish },
];

try {
  await mustBeFree();
  copyCheckout();
  for (const { language, code } of blocks()) {
    console.log(`\n${code}`);
    if (language === 'sh') for (const line of code.split('\n')) await doLine(line);
    else await runProgram(code);
    await leave();
  }
  await stopServer();
  console.log('\nEvery command of README.md works.');
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true, maxRetries: 10 });
}

function blocks() {
  const text = readFileSync(join(checkout, 'README.md'), 'utf8');
  return [...text.matchAll(/^```(sh|js)\n(.*?)\n```$/gms)].map(([, language, code]) => ({ language, code }));
}

/** Copies what a clone would contain, with uncommitted changes. */
function copyCheckout() {
  const { stdout, status } = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error('The files of the checkout are unknown: git ls-files failed.');
  for (const path of stdout.split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(checkout, path)), { recursive: true });
    cpSync(join(root, path), join(checkout, path));
  }
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "name": "my-app", "private": true }\n');
}

async function mustBeFree() {
  const probe = createServer();
  const taken = once(probe, 'error').then(() => `port ${PORT} is taken`);
  const free = once(probe.listen(PORT), 'listening').then(() => undefined);
  const problem = await Promise.race([taken, free]);
  if (problem !== undefined) throw new Error(problem);
  await new Promise((resolve) => probe.close(resolve));
}

async function doLine(line) {
  const kind = kinds.find(({ form }) => form.test(line));
  if (!kind) throw new Error(`Unknown command: ${line}`);
  await kind.act(line);
}

/** Starts a command line in a shell. A single command replaces the shell, so that signals reach the command. */
function start(line, { becomes = false } = {}) {
  const child = spawn('sh', ['-c', becomes ? `exec ${line}` : line], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  children.add(child);
  const exited = once(child, 'exit').then(([code, signal]) => {
    children.delete(child);
    started.code = code ?? signal;
    return started.code;
  });
  /** The output so far; after the end, the exit code or the signal. */
  const started = { child, exited, text: '', code: undefined };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (started.text += chunk));
  return started;
}

async function until(isTrue, what, started) {
  const deadline = performance.now() + 10 * MINUTE;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`Timed out: ${what}.\n${started.text}`);
    await pause(100);
  }
}

/** Runs a command that ends. A `cd` affects the following lines. */
async function finish(line) {
  const started = start(`${line}\nresult=$?; echo; pwd; exit $result`);
  started.child.stdin.end();
  const code = await started.exited;
  if (code !== 0) throw new Error(`${code}: ${line}\n${started.text}`);
  cwd = started.text.trim().split('\n').at(-1);
}

async function serve(line) {
  await stopServer();
  server = start(line, { becomes: true });
  await Promise.race([until(() => server.text.includes('stop '), line, server), server.exited.then((code) => fail(code, line))]);
}

const fail = (code, line) => {
  throw new Error(`${code}: ${line}\n${server.text}`);
};

/** npm ends at once, the server a little later. */
async function stopServer() {
  if (!server) return;
  const { child, exited } = server;
  server = undefined;
  child.kill('SIGTERM');
  await exited;
  const isGone = () =>
    mustBeFree().then(
      () => true,
      () => false,
    );
  await until(isGone, 'the server ends by SIGTERM', { text: '' });
}

/** The first chat client says hello, the later ones answer, and each reads the other. */
async function talk(line) {
  const talker = start(line);
  talkers.push(talker);
  const [first, second] = talkers;
  await until(() => talker.text.includes('/help'), `${line} is in the room`, talker);
  if (!second) return;
  first.child.stdin.write('hello\n');
  await until(() => /aya: hello/.test(second.text), 'the second reads the first', second);
  second.child.stdin.write('hi\n');
  await until(() => /ben: hi/.test(first.text), 'the first reads the second', first);
}

async function leave() {
  for (const { child } of talkers) child.stdin.end();
  for (const talker of talkers) {
    const code = await talker.exited;
    if (code !== 0) throw new Error(`A chat client ended with ${code}.\n${talker.text}`);
  }
  talkers = [];
}

/** Other members repeat the text that the command waits for. */
async function waitFor(line) {
  const waiting = start(line);
  const isOver = async () => {
    await finish("echo 'deploy ok' | npx engawa send ops --as ci");
    return waiting.code !== undefined;
  };
  await until(isOver, line, waiting);
  if (waiting.code !== 0) throw new Error(`${waiting.code}: ${line}\n${waiting.text}`);
}

/** Runs a program that chats, and waits for its chat. */
async function runProgram(code) {
  writeFileSync(join(project, 'example.mjs'), code);
  const program = start('node example.mjs', { becomes: true });
  await until(() => program.text.includes(': hello') || program.code !== undefined, code, program);
  if (program.code !== undefined) throw new Error(`It ended.\n${program.text}`);
  program.child.kill();
  await program.exited;
}
