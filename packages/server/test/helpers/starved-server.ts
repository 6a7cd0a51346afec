/** A server in a process with few descriptors, or little memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createTempFolder } from '@engawa/testkit/folders';
import { withTimeout } from '@engawa/testkit/wait-for';
import { onTestFinished } from 'vitest';

const PROGRAM = fileURLToPath(new URL('starved-server.js', import.meta.url));

export interface StarvedServer {
  url: string;
  /** Its log so far, in complete lines. */
  logLines: () => { msg: string; count?: number }[];
  /** Makes it allocate this number of megabytes on its heap. */
  allocate: (megabytes: number) => Promise<void>;
  exitCode: () => number | null;
}

interface ResourceLimits {
  /** Descriptors. */
  files?: number;
  /** Megabytes of heap. */
  heap?: number;
}

export async function startStarvedServer({ files = 1_024, heap = 512 }: ResourceLimits): Promise<StarvedServer> {
  const node = `exec "${process.execPath}" --max-old-space-size=${heap} "${PROGRAM}" "${createTempFolder()}"`;
  const child = spawn('sh', ['-c', `ulimit -n ${files}; ${node}`], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  onTestFinished(() => end(child));
  let output = '';
  child.stdout?.on('data', (text: Buffer) => (output += String(text)));
  const url = await withTimeout(
    waitForUrl(child, () => output),
    'a server that listens',
    30_000,
  );
  return {
    url,
    logLines: () =>
      output
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as { msg: string }),
    allocate: async (megabytes) => {
      const done = once(child, 'message');
      child.send(megabytes);
      await withTimeout(done, 'the memory is held');
    },
    exitCode: () => child.exitCode,
  };
}

async function waitForUrl(child: ChildProcess, getOutput: () => string): Promise<string> {
  for (;;) {
    const url = /listening on (\S+)\n/.exec(getOutput())?.[1];
    if (url !== undefined) return url;
    if (child.exitCode !== null) throw new Error(`The server ended before it listened: ${getOutput()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
