/** A python-socketio client in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** Debian's Python, for which the packages are installed. */
const PYTHON = '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('listener.py', import.meta.url));

interface OutputLine {
  connected?: boolean;
  joined?: boolean;
  chat?: string;
  event?: string;
  arguments?: number;
}

interface PythonClient {
  /** The output so far. */
  lines: OutputLine[];
  /** The error output of Python: above all exceptions. */
  stderr: () => string;
}

interface Options {
  kind: 'sync' | 'asyncio';
  url: string;
  transports: string;
  auth?: object;
}

/** A Python client in the room `veranda`, which ends with the test. */
export function startPython({ kind, url, transports, auth = {} }: Options): PythonClient {
  const child = spawn(PYTHON, [SCRIPT, kind, url, transports, JSON.stringify(auth)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: OutputLine[] = [];
  let complaints = '';
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line) as OutputLine));
  child.stderr.on('data', (text: Buffer) => (complaints += String(text)));
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return { lines, stderr: () => complaints };
}
