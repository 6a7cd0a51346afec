// Tests of the packed packages, installed into an empty folder.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTempFolder, until } from '@engawa/testkit/processes/server';
import { startRedis } from '@engawa/testkit/redis/redis-servers';
import { expect, onTestFinished, test } from 'vitest';

const PACKAGES = fileURLToPath(new URL('../..', import.meta.url));
const isPublished = (name: string): boolean =>
  !(JSON.parse(readFileSync(join(PACKAGES, name, 'package.json'), 'utf8')) as { private?: boolean }).private;
const PUBLISHED = readdirSync(PACKAGES).filter(isPublished);

test('the packed packages run in an empty folder', { timeout: 180_000 }, async () => {
  const folder = createTempFolder();
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
  const tarballs = PUBLISHED.map((name) => {
    const [packed] = JSON.parse(run('npm', 'pack', '--json', '--pack-destination', folder, join(PACKAGES, name))) as { filename: string }[];
    return `./${packed?.filename ?? ''}`;
  });
  run('npm', 'init', '--yes');
  run('npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs);

  for (const file of filesIn(join(folder, 'node_modules'))) expect(missingSources(file), file).toEqual([]);
  const engawa = join(folder, 'node_modules', '.bin', 'engawa');
  expect(run(engawa, 'version')).toMatch(/^\d+\.\d+\.\d+\n$/);
  const env = { PATH: process.env.PATH, HOME: createTempFolder() };
  const redis = await startRedis();
  onTestFinished(() => redis.close());
  for (const store of [[], ['--redis-url', redis.url]]) {
    const url = await serve(engawa, folder, store);
    const chat = (username: string, input: string) =>
      execFileSync(engawa, ['chat', 'lobby', '--as', username, '--server', url], { cwd: folder, env, input, encoding: 'utf8' });
    chat('aya', 'hello\n');
    expect(chat('ben', '')).toContain('aya: hello');
  }
});

/** All files of the packages, and those for debuggers and editors. */
function filesIn(modules: string): string[] {
  const ours = ['engawa', '@engawa'].flatMap((name) =>
    readdirSync(join(modules, name), { recursive: true, encoding: 'utf8' }).map((path) => join(modules, name, path)),
  );
  return ours.filter((path) => /\.[jt]s$/.test(path) && !/node_modules.*node_modules/.test(path));
}

/** Sources that a source map names but does not contain. */
function missingSources(file: string): string[] {
  const [, name] = /\/\/# sourceMappingURL=(\S+)\s*$/.exec(readFileSync(file, 'utf8')) ?? [];
  if (name === undefined) return [];
  const path = join(dirname(file), name);
  if (!existsSync(path)) return [name];
  const { sources, sourcesContent = [] } = JSON.parse(readFileSync(path, 'utf8')) as { sources: string[]; sourcesContent?: string[] };
  return sources.filter((source, index) => sourcesContent[index] === undefined && !existsSync(join(dirname(path), source)));
}

async function serve(engawa: string, cwd: string, args: string[]): Promise<string> {
  const server = spawn(engawa, ['serve', '--port', '0', ...args], { cwd, env: { ...process.env, ENGAWA_LOG_LEVEL: 'silent' } });
  onTestFinished(() => void server.kill('SIGKILL'));
  let screen = '';
  server.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString()));
  await until(() => screen.includes('stop '), 'it is up', 30_000);
  return /http:\S+/.exec(screen)?.[0] ?? '';
}
