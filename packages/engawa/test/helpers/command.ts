import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { until, within } from '../../../server/test/helpers/server.ts';

const ENGAWA = fileURLToPath(new URL('../../bin/engawa.js', import.meta.url));

/** The command as a process, which ends with the test. */
export function run(...args: string[]) {
  const child = spawn(process.execPath, [ENGAWA, ...args], { env: { ...process.env, ENGAWA_LOG: 'silent' } });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  return { child, screen: () => text, exit: async () => (await within(exited, 'exit', 60_000))[0] };
}

/** `engawa serve`, once it listens. */
export async function serve(folder: string, ...args: string[]) {
  const server = run('serve', '--port', '0', '--data-dir', folder, ...args);
  await until(() => server.screen().includes('stop '), `the server is up, which says: ${server.screen()}`);
  const url = /http:\S+/.exec(server.screen())?.[0] ?? '';
  return { ...server, url };
}
