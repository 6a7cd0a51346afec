import { withWorker } from './worker.ts';

/** Somebody in a room, over a connection of his own. */
export interface Place {
  url: string;
  roomId: string;
}

/** The first speaker of a room creates it. Listeners hear what the speakers of their room say. */
export interface Company {
  speakers: Place[];
  listeners: Place[];
}

/** What all speakers say together, by turns and evenly spread. */
export interface Talk {
  perSecond: number;
  milliseconds: number;
}

/** Chats said and heard; milliseconds from when a chat was due until a listener had it. */
export type DeliveryFigures = Record<'said' | 'heard' | 'p50' | 'p99', number>;

export type DeliveryOrder = ({ do: 'gather'; company: string } & Company) | ({ do: 'talk'; company: string } & Talk);

export interface Deliveries {
  /** Companies have names, and stay connected. */
  gather(company: string, of: Company): Promise<void>;
  talk(company: string, talk: Talk): Promise<DeliveryFigures>;
}

/** Runs `use` with a process of its own in which some speak and others listen. */
export const withDeliveries = <Result>(use: (deliveries: Deliveries) => Promise<Result>): Promise<Result> =>
  withWorker<DeliveryOrder, Result>(new URL('./delivery-process.js', import.meta.url), (give) =>
    use({
      gather: async (company, of) => void (await give({ do: 'gather', company, ...of })),
      talk: async (company, talk) => (await give({ do: 'talk', company, ...talk })) as DeliveryFigures,
    }),
  );
