/** A cache of log pages that many clients request at the same time, shared by all rooms of a node. */
import type { ReplayPage } from '../domain/entry-payloads.ts';

const MAX_CACHE_BYTES = 32 * 1024 * 1024;
/** Requests for a page come in bursts: after this time without one, the cache is cleared. */
const CLEAR_AFTER_IDLE_MS = 300;
/** Estimated bytes of a page beside its entries. */
const PAGE_OVERHEAD_BYTES = 1_024;

interface CachedPage {
  page: Promise<ReplayPage>;
  bytes: number;
}

/** An LRU cache that is bounded in bytes. Concurrent requests for a page share one read. */
export class PageCache {
  readonly #maxBytes: number;
  /** Least recently used pages first. */
  readonly #pages = new Map<string, CachedPage>();
  #bytes = 0;
  #isUsed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(maxBytes = MAX_CACHE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of all pages, including those that are being read. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `bytes`: the maximum size of the page. */
  get(key: string, bytes: number, read: () => Promise<ReplayPage>): Promise<ReplayPage> {
    this.#isUsed = true;
    this.#timer ??= setInterval(() => this.#clearIfUnused(), CLEAR_AFTER_IDLE_MS).unref();
    const existing = this.#pages.get(key);
    if (existing) {
      this.#pages.delete(key);
      this.#pages.set(key, existing);
      return existing.page;
    }
    const cachedPage = { page: read(), bytes: 0 };
    this.#pages.set(key, cachedPage);
    this.#setSize(cachedPage, bytes);
    cachedPage.page.then(
      ({ entries }) =>
        this.#updateSize(
          key,
          cachedPage,
          entries.reduce((sum, entry) => sum + entry.bytes, 0),
        ),
      () => this.#remove(key, cachedPage),
    );
    return cachedPage.page;
  }

  #clearIfUnused(): void {
    if (!this.#isUsed) {
      for (const [name, cachedPage] of this.#pages) this.#remove(name, cachedPage);
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    this.#isUsed = false;
  }

  #updateSize(key: string, cachedPage: CachedPage, bytes: number): void {
    if (this.#pages.get(key) === cachedPage) this.#setSize(cachedPage, bytes);
  }

  #setSize(cachedPage: CachedPage, bytes: number): void {
    const size = bytes + PAGE_OVERHEAD_BYTES;
    this.#bytes += size - cachedPage.bytes;
    cachedPage.bytes = size;
    for (const [name, oldest] of this.#pages) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#remove(name, oldest);
    }
  }

  #remove(key: string, cachedPage: CachedPage): void {
    if (this.#pages.get(key) !== cachedPage) return;
    this.#pages.delete(key);
    this.#bytes -= cachedPage.bytes;
  }
}
