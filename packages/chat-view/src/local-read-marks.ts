// Saves how far each room was read on this machine.
// The server has read marks only for the current session; a lost session or a reinstalled server has none.
import type { ClientStorage, Room } from '@engawa/client';
import { RoomStore } from './room-store.ts';

const SAVE_DELAY_MS = 500;

/** The last read entry, in one epoch. */
export interface ReadMark {
  epoch: string;
  seq: number;
}

export class ReadMarks {
  readonly #store: RoomStore<ReadMark>;

  constructor(storage: ClientStorage, server: string) {
    this.#store = new RoomStore({ storage, prefix: `engawa:${server}:read:`, parse: parseReadMark, saveDelayMs: SAVE_DELAY_MS });
  }

  /** Undefined if unknown; the read mark of the server is used then. */
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
