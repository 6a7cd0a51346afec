import { withWorker } from '../processes/worker-rpc.ts';

/** How members come back: as the stock client does, or asking `resume:rooms`. */
export type ReconnectMethod = 'stock' | 'resume:rooms';

/** Rooms of as many members each, every one over a connection of his own. */
export interface StormSetup {
  url: string;
  /** The first part of the rooms' names. */
  name: string;
  rooms: number;
  membersPerRoom: number;
}

export interface StormResult {
  /** Milliseconds from the common beginning until each had caught up. */
  times: number[];
  /** How many never did. */
  lost: number;
  /** How each attempt on the way failed. */
  failures: string[];
}

export type StormCommand =
  | ({ do: 'gather' } & StormSetup)
  | { do: 'say'; url: string; chats: number }
  | { do: 'return'; url: string; how: ReconnectMethod; missed: number }
  | { do: 'talk'; everyMs: number }
  | { do: 'hush' };

/** Members whose rooms are their own, in a process of its own. */
export interface ReconnectStorm {
  join(gathering: StormSetup): Promise<void>;
  /** One who is not among them says so many chats to each room, and goes. */
  sendChats(url: string, chats: number): Promise<void>;
  /** All at once, each to catch up with so many chats. */
  reconnect(url: string, how: ReconnectMethod, missed: number): Promise<StormResult>;
  /** Each says a chat every so many milliseconds, whether the last was acknowledged or not, from now until `hush`. */
  startChatting(everyMs: number): Promise<void>;
  /** Milliseconds from when a chat was due to its acknowledgement. */
  stopChatting(): Promise<number[]>;
}

export const withReconnectStorm = <Result>(use: (crowd: ReconnectStorm) => Promise<Result>): Promise<Result> =>
  withWorker<StormCommand, Result>(new URL('./reconnect-storm-worker.js', import.meta.url), (give) =>
    use({
      join: async (gathering) => void (await give({ do: 'gather', ...gathering })),
      sendChats: async (url, chats) => void (await give({ do: 'say', url, chats })),
      reconnect: async (url, how, missed) => (await give({ do: 'return', url, how, missed })) as StormResult,
      startChatting: async (everyMs) => void (await give({ do: 'talk', everyMs })),
      stopChatting: async () => (await give({ do: 'hush' })) as number[],
    }),
  );
