/** The membership records of one author, read once for several lookups. */
import { type MembershipRecord, memberKey } from '../domain/room-keys.ts';
import type { Store } from '../store/contract.ts';

interface MemberRef {
  roomId: string;
  username: string;
}

/** The tickets of one author, up to a thousand. They are read once, on first use. */
export class MembershipRecords {
  readonly #read: () => Promise<Map<string, MembershipRecord>>;
  #values: Promise<Map<string, MembershipRecord>> | undefined;

  constructor(store: Store, author: string, limit: number) {
    this.#read = async () => {
      const tickets = await store.listTickets(author, limit);
      return new Map(tickets.map(({ room, key, value }) => [recordKey(room, key), value as unknown as MembershipRecord]));
    };
  }

  async get({ roomId, username }: MemberRef): Promise<MembershipRecord | undefined> {
    this.#values ??= this.#read();
    return (await this.#values).get(recordKey(roomId, memberKey(username)));
  }
}

const recordKey = (room: string, key: string): string => JSON.stringify([room, key]);
