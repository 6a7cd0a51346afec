/** A headless Chromium for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createTempFolder, withTimeout } from '@engawa/testkit/processes/server';
import { type BrowserContext, chromium } from 'playwright-core';
import { onTestFinished } from 'vitest';

const CHROMIUM = '/usr/bin/chromium';
const NO_BACKGROUND_TRAFFIC = ['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
// Without --no-startup-window the driver could wait for ever for a first tab that is still opening.
const SWITCHES = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-startup-window', ...NO_BACKGROUND_TRAFFIC];

/** Host names that resolve to this machine, and are not `localhost` to a browser. */
const HOST_RULES = '--host-resolver-rules=MAP chat.test 127.0.0.1';

/**
 * Debian's Chromium with an empty profile. The driver attaches with `noDefaults`: its defaults make every page count as visible.
 */
export async function openBrowser(): Promise<BrowserContext> {
  const profile = `--user-data-dir=${createTempFolder()}`;
  const process = spawn(CHROMIUM, [...SWITCHES, '--remote-debugging-port=0', HOST_RULES, profile], { stdio: ['ignore', 'ignore', 'pipe'] });
  const closed = new Promise((resolve) => void process.once('close', resolve));
  onTestFinished(() => waitForExit(process, closed));
  const browser = await chromium.connectOverCDP(await addressOf(process), { noDefaults: true });
  const [context] = browser.contexts();
  if (!context) throw new Error('The browser has no profile.');
  context.setDefaultTimeout(20_000);
  return context;
}

/** The browser prints the port of its debugger. */
async function addressOf(process: ChildProcess): Promise<string> {
  let text = '';
  const found = new Promise<string>((resolve, reject) => {
    process.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const [address] = /ws:\S+/.exec(text) ?? [];
      if (address) resolve(address);
    });
    process.once('error', reject);
    process.once('close', () => reject(new Error(`${CHROMIUM} ended:\n${text}`)));
  });
  return withTimeout(found, `${CHROMIUM} to start`, 20_000);
}

/** Waits until its last process has ended: until then each can write into the profile, which is deleted afterwards. */
async function waitForExit(process: ChildProcess, closed: Promise<unknown>): Promise<void> {
  if (process.pid === undefined) return;
  process.kill();
  await withTimeout(closed, `${CHROMIUM} to end`).finally(() => process.kill('SIGKILL'));
}
