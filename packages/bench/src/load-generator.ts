import { once } from 'node:events';
import { forkOwned } from './clean-up.ts';

/** Connections to make, spread evenly over rooms. */
export interface Joined {
  url: string;
  connections: number;
  rooms: number;
  /** Who joins: each connection as a member, or one of each room, as whom the others speak without joining or hearing. */
  members: 'all' | 'one a room';
}

export interface ChatLoad {
  seconds: number;
  textBytes: number;
}

export type Order = ({ do: 'join' } & Joined) | ({ do: 'chat' } & ChatLoad);
export type LoadAnswer = { figures: LoadFigures | undefined } | { failed: string };

/** Chats acknowledged and events told in so many seconds; milliseconds; share of one core. */
export type LoadFigures = Record<'seconds' | 'acknowledged' | 'delivered' | 'p50' | 'p99' | 'loadCpu', number>;

export interface LoadGenerator {
  join(joined: Joined): Promise<void>;
  chat(load: ChatLoad): Promise<LoadFigures>;
}

/** Runs `use` with a process of its own that makes load. */
export async function withLoadGenerator<Result>(use: (load: LoadGenerator) => Promise<Result>): Promise<Result> {
  const child = forkOwned(new URL('./load-process.js', import.meta.url));
  const exited = once(child, 'exit').then(() => ({ failed: 'it ended by itself' }));

  async function order(given: Order): Promise<LoadFigures | undefined> {
    child.send(given);
    const answer = await Promise.race([once(child, 'message').then(([message]) => message as LoadAnswer), exited]);
    if ('failed' in answer) throw new Error(`The load process failed: ${answer.failed}`);
    return answer.figures;
  }

  try {
    return await use({
      join: async (joined) => void (await order({ do: 'join', ...joined })),
      chat: async (load) => (await order({ do: 'chat', ...load })) as LoadFigures,
    });
  } finally {
    if (child.connected) child.disconnect();
    await exited;
  }
}
