// Installs the npm packages if necessary. It runs before any package is installed, so it uses only modules of Node.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const stampFile = join(root, 'node_modules', '.set-up');

/** The install command of each level, and the levels that it covers. */
const levels = {
  start: { command: 'npm ci --omit=dev', enoughFor: ['start'] },
  test: { command: 'npm ci --include=dev', enoughFor: ['start', 'test'] },
};

/** Runs a command line with the tools of node_modules; returns whether it succeeded. */
export function run(command) {
  const PATH = join(root, 'node_modules', '.bin') + delimiter + process.env.PATH;
  return spawnSync(command, { cwd: root, env: { ...process.env, PATH }, shell: true, stdio: 'inherit' }).status === 0;
}

export function stop(message) {
  console.error(message);
  process.exit(1);
}

/** Installs the packages of a level; fast if they are installed. */
export function install(level) {
  checkNode();
  const fingerprint = fingerprintOfInstall();
  if (isInstalled(level, fingerprint)) return;
  console.log('Installing packages; this happens once ...');
  const installed = run(`${levels[level].command} --ignore-scripts --no-audit --no-fund --loglevel=error`);
  if (!installed) stop('The packages could not be installed: npm says above why.');
  writeFileSync(stampFile, `${level} ${fingerprint}`);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) stop(`Engawa needs Node 20.19 or newer; this is Node ${process.versions.node}.`);
}

function fingerprintOfInstall() {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')));
  return hash.update(`${process.version} ${process.platform} ${process.arch}`).digest('hex');
}

/** npm empties node_modules before it installs, so the stamp file cannot survive another install. */
function isInstalled(level, fingerprint) {
  if (!existsSync(stampFile)) return false;
  const [installed, of] = readFileSync(stampFile, 'utf8').split(' ');
  return of === fingerprint && levels[installed].enoughFor.includes(level);
}
