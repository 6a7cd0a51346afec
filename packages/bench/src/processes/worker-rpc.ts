import { once } from 'node:events';
import { forkChild } from './child-processes.ts';

/** What a worker process answers to each order. */
type WorkerAnswer = { figures: unknown } | { failed: string };

export type SendCommand<Order> = (order: Order) => Promise<unknown>;

/** Runs `use` with a process of its own, of that script, which follows orders one after the other. */
export async function withWorker<Order extends object, Result>(
  script: URL,
  use: (give: SendCommand<Order>) => Promise<Result>,
  child = forkChild(script),
): Promise<Result> {
  const exited = once(child, 'exit').then(() => ({ failed: 'it ended by itself' }));

  async function give(order: Order): Promise<unknown> {
    child.send(order);
    const answer = await Promise.race([once(child, 'message').then(([message]) => message as WorkerAnswer), exited]);
    if ('failed' in answer) throw new Error(`The load process failed: ${answer.failed}`);
    return answer.figures;
  }

  try {
    return await use(give);
  } finally {
    if (child.connected) child.disconnect();
    await exited;
  }
}

/** The other side: follows what the parent orders, and ends with it. */
export function handleCommands<Order>(follow: (order: Order) => Promise<unknown>): void {
  async function answer(order: Order): Promise<WorkerAnswer> {
    try {
      return { figures: await follow(order) };
    } catch (error) {
      return { failed: (error as Error).message };
    }
  }
  process.on('message', (order: Order) => void answer(order).then((done) => process.send?.(done)));
  process.on('disconnect', () => process.exit());
}
