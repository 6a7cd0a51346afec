/** A server in a process that gets few descriptors, or little memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { newFolder } from './folders.ts';
import { within } from './waiting.ts';

const PROGRAM = fileURLToPath(new URL('starved-server.js', import.meta.url));

export interface StarvedServer {
  url: string;
  /** What it has logged so far, whole lines. */
  logged: () => { msg: string; count?: number }[];
  /** Makes it hold so many megabytes on its heap. */
  hold: (megabytes: number) => Promise<void>;
  exitCode: () => number | null;
}

interface Scarcity {
  /** Descriptors. */
  files?: number;
  /** Megabytes of heap. */
  heap?: number;
}

export async function startStarved({ files = 1_024, heap = 512 }: Scarcity): Promise<StarvedServer> {
  const node = `exec "${process.execPath}" --max-old-space-size=${heap} "${PROGRAM}" "${newFolder()}"`;
  const child = spawn('sh', ['-c', `ulimit -n ${files}; ${node}`], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  onTestFinished(() => end(child));
  let said = '';
  child.stdout?.on('data', (text: Buffer) => (said += String(text)));
  const url = await within(
    urlIn(child, () => said),
    'a server that listens',
    30_000,
  );
  return {
    url,
    logged: () =>
      said
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as { msg: string }),
    hold: async (megabytes) => {
      const done = once(child, 'message');
      child.send(megabytes);
      await within(done, 'the memory is held');
    },
    exitCode: () => child.exitCode,
  };
}

async function urlIn(child: ChildProcess, said: () => string): Promise<string> {
  for (;;) {
    const url = /listening on (\S+)\n/.exec(said())?.[1];
    if (url !== undefined) return url;
    if (child.exitCode !== null) throw new Error(`The server ended before it listened: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
