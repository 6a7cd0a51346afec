import { MAX_CHUNK_BYTES, MAX_CHUNK_ITEMS, type RoomChunk } from './contract.ts';

/** What a parcel brings, in the order in which it is packed: named appends point at entries, which are there before them. */
export type ChunkSection = 'entries' | 'keys' | 'tickets' | 'idempotencyKeys';
export type ChunkItem<Of extends ChunkSection = ChunkSection> = RoomChunk[Of][number];

/** A parcel that is being packed. */
export class ChunkBuilder {
  readonly #chunk: RoomChunk;
  #itemCount = 0;
  #bytes = 0;

  constructor(room: string, head: RoomChunk['head']) {
    this.#chunk = { room, head, entries: [], keys: [], tickets: [], idempotencyKeys: [], next: null };
  }

  /** Packs the item, unless the parcel has no more room for it. The first one always has. */
  tryAdd<Of extends ChunkSection>(section: Of, item: ChunkItem<Of>): boolean {
    const bytes = Buffer.byteLength(JSON.stringify(item));
    if (this.#itemCount === MAX_CHUNK_ITEMS || (this.#itemCount > 0 && this.#bytes + bytes > MAX_CHUNK_BYTES)) return false;
    this.#itemCount += 1;
    this.#bytes += bytes;
    (this.#chunk[section] as ChunkItem<Of>[]).push(item);
    return true;
  }

  /** The parcel; `next` asks for what it had no room for. */
  build(next: string | null): RoomChunk {
    return { ...this.#chunk, next };
  }
}
