/** Pages of logs that many ask for at the same time, all rooms of a node together. */
import type { ToldPage } from '../chat/telling.ts';

const MOST_BYTES = 32 * 1024 * 1024;
/** Many ask for a page at the same moment, or nobody does again: a cache that is not used for so long is emptied. */
const UNUSED_MS = 300;
/** What a page takes beside its entries, and one that is still being read beside what it was asked for. */
const PAGE_OVERHEAD = 1_024;

interface Kept {
  page: Promise<ToldPage>;
  bytes: number;
}

/** An LRU cache that is bounded in bytes. A page is read once for all who ask while it is there. */
export class PageCache {
  readonly #mostBytes: number;
  /** The least recently used first. */
  readonly #pages = new Map<string, Kept>();
  #bytes = 0;
  #isUsed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(mostBytes = MOST_BYTES) {
    this.#mostBytes = mostBytes;
  }

  /** What all pages take, those included that are being read. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `bytes`: what the page takes at most. */
  get(name: string, bytes: number, read: () => Promise<ToldPage>): Promise<ToldPage> {
    this.#isUsed = true;
    this.#timer ??= setInterval(() => this.#emptyUnused(), UNUSED_MS).unref();
    const known = this.#pages.get(name);
    if (known) {
      this.#pages.delete(name);
      this.#pages.set(name, known);
      return known.page;
    }
    const kept = { page: read(), bytes: 0 };
    this.#pages.set(name, kept);
    this.#count(kept, bytes);
    kept.page.then(
      ({ entries }) =>
        this.#settle(
          name,
          kept,
          entries.reduce((sum, entry) => sum + entry.bytes, 0),
        ),
      () => this.#forget(name, kept),
    );
    return kept.page;
  }

  #emptyUnused(): void {
    if (!this.#isUsed) {
      for (const [name, kept] of this.#pages) this.#forget(name, kept);
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    this.#isUsed = false;
  }

  #settle(name: string, kept: Kept, bytes: number): void {
    if (this.#pages.get(name) === kept) this.#count(kept, bytes);
  }

  #count(kept: Kept, bytes: number): void {
    const counted = bytes + PAGE_OVERHEAD;
    this.#bytes += counted - kept.bytes;
    kept.bytes = counted;
    for (const [name, oldest] of this.#pages) {
      if (this.#bytes <= this.#mostBytes) return;
      this.#forget(name, oldest);
    }
  }

  #forget(name: string, kept: Kept): void {
    if (this.#pages.get(name) !== kept) return;
    this.#pages.delete(name);
    this.#bytes -= kept.bytes;
  }
}
