import { PARCEL_BYTES, PARCEL_ITEMS, type Parcel } from './store.ts';

/** What a parcel brings, in the order in which it is packed: named appends point at entries, which are there before them. */
export type Section = 'entries' | 'keys' | 'tickets' | 'onces';
export type Item<Of extends Section = Section> = Parcel[Of][number];

/** A parcel that is being packed. */
export class Packing {
  readonly #parcel: Parcel;
  #items = 0;
  #bytes = 0;

  constructor(room: string, head: Parcel['head']) {
    this.#parcel = { room, head, entries: [], keys: [], tickets: [], onces: [], next: null };
  }

  /** Packs the item, unless the parcel has no more room for it. The first one always has. */
  takes<Of extends Section>(section: Of, item: Item<Of>): boolean {
    const bytes = Buffer.byteLength(JSON.stringify(item));
    if (this.#items === PARCEL_ITEMS || (this.#items > 0 && this.#bytes + bytes > PARCEL_BYTES)) return false;
    this.#items += 1;
    this.#bytes += bytes;
    (this.#parcel[section] as Item<Of>[]).push(item);
    return true;
  }

  /** The parcel; `next` asks for what it had no room for. */
  close(next: string | null): Parcel {
    return { ...this.#parcel, next };
  }
}
