import { memberKey, type TicketValue } from '../chat/keys.ts';
import type { Store } from '../store/store.ts';

interface Place {
  roomId: string;
  username: string;
}

/** The tickets of one author. They may be a thousand: they are read once for all that is asked of them, when the first asks. */
export class Tickets {
  readonly #read: () => Promise<Map<string, TicketValue>>;
  #values: Promise<Map<string, TicketValue>> | undefined;

  constructor(store: Store, author: string, limit: number) {
    this.#read = async () => {
      const tickets = await store.tickets(author, limit);
      return new Map(tickets.map(({ room, key, value }) => [nameOf(room, key), value as unknown as TicketValue]));
    };
  }

  async of({ roomId, username }: Place): Promise<TicketValue | undefined> {
    this.#values ??= this.#read();
    return (await this.#values).get(nameOf(roomId, memberKey(username)));
  }
}

const nameOf = (room: string, key: string): string => JSON.stringify([room, key]);
