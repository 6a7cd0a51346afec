import { withWorker } from '../processes/worker-rpc.ts';

/** What is asked of Redis again and again: chats by the store, with a name or without, or the same bytes by one bare command. */
export type AppendKind = 'chats' | 'named chats' | 'XADD' | 'PUBLISH';

export interface AppendLoad {
  asking: AppendKind;
  inFlight: number;
  rooms: number;
  milliseconds: number;
}

/** How many were answered in so many seconds, what each took in milliseconds, and CPU seconds of the process that asked. */
export type AppendFigures = Record<'seconds' | 'count' | 'p50' | 'p99' | 'cpu', number>;

export type AppendCommand = { do: 'open'; url: string; rooms: number } | ({ do: 'ask' } & AppendLoad);

export interface AppendLoadGenerator {
  /** Opens the store, with so many rooms in it. */
  open(url: string, rooms: number): Promise<void>;
  ask(load: AppendLoad): Promise<AppendFigures>;
}

/** Runs `use` with a process of its own that asks one Redis. */
export const withAppendLoad = <Result>(use: (appender: AppendLoadGenerator) => Promise<Result>): Promise<Result> =>
  withWorker<AppendCommand, Result>(new URL('./append-load-worker.js', import.meta.url), (give) =>
    use({
      open: async (url, rooms) => void (await give({ do: 'open', url, rooms })),
      ask: async (load) => (await give({ do: 'ask', ...load })) as AppendFigures,
    }),
  );
