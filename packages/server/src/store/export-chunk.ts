/** Builds the size-limited chunks in which a room is exported. */
import { MAX_CHUNK_BYTES, MAX_CHUNK_ITEMS, type RoomChunk } from './contract.ts';

/** The sections of a chunk, in the order of the export: idempotency keys refer to entries, which must be imported before them. */
export type ChunkSection = 'entries' | 'keys' | 'tickets' | 'idempotencyKeys';
export type ChunkItem<Of extends ChunkSection = ChunkSection> = RoomChunk[Of][number];

/** A chunk under construction. */
export class ChunkBuilder {
  readonly #chunk: RoomChunk;
  #itemCount = 0;
  #bytes = 0;

  constructor(room: string, head: RoomChunk['head']) {
    this.#chunk = { room, head, entries: [], keys: [], tickets: [], idempotencyKeys: [], next: null };
  }

  /** Adds the item if there is space for it. The first item always fits. */
  tryAdd<Of extends ChunkSection>(section: Of, item: ChunkItem<Of>): boolean {
    const bytes = Buffer.byteLength(JSON.stringify(item));
    if (this.#itemCount === MAX_CHUNK_ITEMS || (this.#itemCount > 0 && this.#bytes + bytes > MAX_CHUNK_BYTES)) return false;
    this.#itemCount += 1;
    this.#bytes += bytes;
    (this.#chunk[section] as ChunkItem<Of>[]).push(item);
    return true;
  }

  /** The finished chunk; `next` requests what did not fit. */
  build(next: string | null): RoomChunk {
    return { ...this.#chunk, next };
  }
}
