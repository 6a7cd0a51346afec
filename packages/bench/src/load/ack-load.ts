import { withWorker } from '../processes/worker-rpc.ts';

/** Connections to make, spread evenly over rooms. */
export interface ConnectionSetup {
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

export type AckLoadCommand = ({ do: 'join' } & ConnectionSetup) | ({ do: 'chat' } & ChatLoad);

/** Chats acknowledged and events told in so many seconds; milliseconds; share of one core. */
export type LoadFigures = Record<'seconds' | 'acknowledged' | 'delivered' | 'p50' | 'p99' | 'loadCpu', number>;

export interface AckLoad {
  join(joined: ConnectionSetup): Promise<void>;
  chat(load: ChatLoad): Promise<LoadFigures>;
}

/** Runs `use` with a process of its own that makes load. */
export const withAckLoad = <Result>(use: (load: AckLoad) => Promise<Result>): Promise<Result> =>
  withWorker<AckLoadCommand, Result>(new URL('./ack-load-worker.js', import.meta.url), (give) =>
    use({
      join: async (joined) => void (await give({ do: 'join', ...joined })),
      chat: async (load) => (await give({ do: 'chat', ...load })) as LoadFigures,
    }),
  );
