// Commands to a worker process, and their results.
import { once } from 'node:events';
import { forkChild } from './child-processes.ts';

/** The answer of a worker to each command. */
type WorkerAnswer = { figures: unknown } | { failed: string };

export type SendCommand<Command> = (command: Command) => Promise<unknown>;

/** Runs `use` with a worker process of that script, which follows one command after the other. */
export async function withWorker<Command extends object, Result>(
  script: URL,
  use: (send: SendCommand<Command>) => Promise<Result>,
  child = forkChild(script),
): Promise<Result> {
  const exited = once(child, 'exit').then(() => ({ failed: 'it ended by itself' }));

  async function send(command: Command): Promise<unknown> {
    child.send(command);
    const answer = await Promise.race([once(child, 'message').then(([message]) => message as WorkerAnswer), exited]);
    if ('failed' in answer) throw new Error(`A worker process failed: ${answer.failed}`);
    return answer.figures;
  }

  try {
    return await use(send);
  } finally {
    if (child.connected) child.disconnect();
    await exited;
  }
}

/** The worker side: follows the commands of the parent, and ends with it. */
export function handleCommands<Command>(follow: (command: Command) => Promise<unknown>): void {
  async function answer(command: Command): Promise<WorkerAnswer> {
    try {
      return { figures: await follow(command) };
    } catch (error) {
      return { failed: (error as Error).message };
    }
  }
  process.on('message', (command: Command) => void answer(command).then((done) => process.send?.(done)));
  process.on('disconnect', () => process.exit());
}
