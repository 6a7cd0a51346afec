import { withWorker } from './worker.ts';

/** How members come back: as the stock client does, or asking `resume:rooms`. */
export type Return = 'stock' | 'resume:rooms';

/** Rooms of as many members each, every one over a connection of his own. */
export interface Gathering {
  url: string;
  /** The first part of the rooms' names. */
  name: string;
  rooms: number;
  membersPerRoom: number;
}

export interface Returned {
  /** Milliseconds from the common beginning until each had caught up. */
  times: number[];
  /** How many never did. */
  lost: number;
  /** How each attempt on the way failed. */
  failures: string[];
}

export type CrowdOrder =
  | ({ do: 'gather' } & Gathering)
  | { do: 'say'; url: string; chats: number }
  | { do: 'return'; url: string; how: Return; missed: number }
  | { do: 'talk'; everyMs: number }
  | { do: 'hush' };

/** Members whose rooms are their own, in a process of its own. */
export interface Crowd {
  gather(gathering: Gathering): Promise<void>;
  /** One who is not among them says so many chats to each room, and goes. */
  say(url: string, chats: number): Promise<void>;
  /** All at once, each to catch up with so many chats. */
  comeBack(url: string, how: Return, missed: number): Promise<Returned>;
  /** Each says a chat every so many milliseconds, whether the last was acknowledged or not, from now until `hush`. */
  talk(everyMs: number): Promise<void>;
  /** Milliseconds from when a chat was due to its acknowledgement. */
  hush(): Promise<number[]>;
}

export const withCrowd = <Result>(use: (crowd: Crowd) => Promise<Result>): Promise<Result> =>
  withWorker<CrowdOrder, Result>(new URL('./crowd-process.js', import.meta.url), (give) =>
    use({
      gather: async (gathering) => void (await give({ do: 'gather', ...gathering })),
      say: async (url, chats) => void (await give({ do: 'say', url, chats })),
      comeBack: async (url, how, missed) => (await give({ do: 'return', url, how, missed })) as Returned,
      talk: async (everyMs) => void (await give({ do: 'talk', everyMs })),
      hush: async () => (await give({ do: 'hush' })) as number[],
    }),
  );
