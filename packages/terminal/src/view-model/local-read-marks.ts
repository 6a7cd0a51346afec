/** How far each room was read, beside what the server keeps for a session: one that is lost, or of an earlier server, has no mark. */
import type { ClientStorage, Room } from '@engawa/client';
import { RoomStore } from './room-store.ts';

const SAVE_DELAY_MS = 500;

/** The last entry that was read, of one log. */
export interface ReadMark {
  epoch: string;
  seq: number;
}

export class ReadMarks {
  readonly #store: RoomStore<ReadMark>;

  constructor(storage: ClientStorage, server: string) {
    this.#store = new RoomStore({ storage, prefix: `engawa:${server}:read:`, parse: parseReadMark, saveDelayMs: SAVE_DELAY_MS });
  }

  /** Nothing when it is not known; chats are then counted as the server does. */
  read(roomId: string): Promise<ReadMark | undefined> {
    return this.#store.read(roomId);
  }

  write({ id, position: { epoch } }: Pick<Room, 'id' | 'position'>, seq: number): void {
    this.#store.write(id, { epoch, seq });
  }

  flush(): void {
    this.#store.flush();
  }
}

function parseReadMark(read: unknown): ReadMark | undefined {
  const mark = read as Partial<ReadMark> | null;
  return typeof mark?.epoch === 'string' && Number.isSafeInteger(mark.seq) ? (mark as ReadMark) : undefined;
}
