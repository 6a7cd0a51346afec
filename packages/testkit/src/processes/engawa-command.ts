// Runs the `engawa` command as a process that ends with the test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { until, withTimeout } from './server.ts';

const ENGAWA = fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url));

const WITHOUT_IPV6 = fileURLToPath(new URL('without-ipv6.py', import.meta.url));

export const runEngawa = (...args: string[]) => startProcess([process.execPath, ENGAWA, ...args]);

/** On a machine without IPv6. */
export const runEngawaWithoutIpv6 = (...args: string[]) =>
  startProcess(['/usr/bin/python3', WITHOUT_IPV6, process.execPath, ENGAWA, ...args]);

function startProcess([program = '', ...args]: string[]) {
  const child = spawn(program, args, { env: { ...process.env, ENGAWA_LOG_LEVEL: 'silent' } });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  return { child, screen: () => text, exit: async () => (await withTimeout(exited, 'exit', 60_000))[0] };
}

/** Resolves when the server listens. */
export const startEngawaServer = (folder: string, ...args: string[]) =>
  waitUntilListening(runEngawa('serve', '--port', '0', '--data-dir', folder, ...args));

export async function waitUntilListening(server: ReturnType<typeof runEngawa>) {
  await until(() => server.screen().includes('stop '), `the server is up, which says: ${server.screen()}`);
  const url = /http:\S+/.exec(server.screen())?.[0] ?? '';
  return { ...server, url };
}
