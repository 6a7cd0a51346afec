/** How far each room was read, beside what the server keeps for a session: one that is lost, or of an earlier server, has no mark. */
import type { ClientStorage, Room } from '@engawa/client';
import { RoomStore } from './room-store.ts';

const REST_MS = 500;

/** The last entry that was read, of one log. */
export interface Mark {
  epoch: string;
  seq: number;
}

export class ReadMarks {
  readonly #store: RoomStore<Mark>;

  constructor(storage: ClientStorage, server: string) {
    this.#store = new RoomStore({ storage, prefix: `engawa:${server}:read:`, parse: markIn, restMs: REST_MS });
  }

  /** Nothing when it is not known; chats are then counted as the server does. */
  read(roomId: string): Promise<Mark | undefined> {
    return this.#store.read(roomId);
  }

  write({ id, position: { epoch } }: Pick<Room, 'id' | 'position'>, seq: number): void {
    this.#store.write(id, { epoch, seq });
  }

  flush(): void {
    this.#store.flush();
  }
}

function markIn(read: unknown): Mark | undefined {
  const mark = read as Partial<Mark> | null;
  return typeof mark?.epoch === 'string' && Number.isSafeInteger(mark.seq) ? (mark as Mark) : undefined;
}
