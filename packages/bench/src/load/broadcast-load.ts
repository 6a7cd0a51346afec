import { withWorker } from '../processes/worker-rpc.ts';

/** Somebody in a room, over a connection of his own. */
export interface Client {
  url: string;
  roomId: string;
}

/** The first speaker of a room creates it. Listeners hear what the speakers of their room say. */
export interface Clients {
  speakers: Client[];
  listeners: Client[];
}

/** What all speakers say together, by turns and evenly spread. */
export interface LoadPhase {
  perSecond: number;
  milliseconds: number;
}

/** Chats said and heard; milliseconds from when a chat was due until a listener had it. */
export type DeliveryFigures = Record<'said' | 'heard' | 'p50' | 'p99', number>;

export type BroadcastCommand = ({ do: 'gather'; company: string } & Clients) | ({ do: 'talk'; company: string } & LoadPhase);

export interface BroadcastLoad {
  /** Companies have names, and stay connected. */
  join(company: string, of: Clients): Promise<void>;
  measure(company: string, talk: LoadPhase): Promise<DeliveryFigures>;
}

/** Runs `use` with a process of its own in which some speak and others listen. */
export const withBroadcastLoad = <Result>(use: (deliveries: BroadcastLoad) => Promise<Result>): Promise<Result> =>
  withWorker<BroadcastCommand, Result>(new URL('./broadcast-load-worker.js', import.meta.url), (give) =>
    use({
      join: async (company, of) => void (await give({ do: 'gather', company, ...of })),
      measure: async (company, talk) => (await give({ do: 'talk', company, ...talk })) as DeliveryFigures,
    }),
  );
