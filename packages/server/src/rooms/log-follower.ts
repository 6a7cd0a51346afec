/** Follows the log of one room: delivers every entry once and in order, whatever notifications are lost. */
import { advancePosition, classifyEntry, type Position } from '@engawa/protocol';
import { readRestoredPage } from '../domain/entry-payloads.ts';
import { MAX_RESPONSE_BYTES } from '../domain/response-budget.ts';
import type { AppendNotice, Entry, Json, Listener, Page, Store } from '../store/contract.ts';

const PAGE_LIMITS = { limit: 500, bytes: MAX_RESPONSE_BYTES };
/** Ids of the newest broadcast entries that are remembered: so far back the beginning of a fork can be found. */
const MAX_RECENT_IDS = 32;
const RETRY_DELAY_MS = 1_000;

export interface LogFollowerOptions {
  store: Store;
  room: string;
  /** Every entry of the log, once and in order. */
  onEntry: (notice: AppendNotice) => void;
  /** The log has a new epoch. Up to `seq` it equals what was delivered. Without an epoch the room was deleted. */
  onReset: (position: { epoch: string | null; seq: number }) => void;
  onPublish: (message: Json) => void;
  onError: (error: unknown) => undefined;
}

/**
 * Follows the log of one room on any store. Notifications are only hints: they may be late, repeated, out of order or lost. An
 * entry that is not the next one causes a read of the log, so the log alone decides what is delivered.
 */
export class LogFollower implements Listener {
  readonly #options: LogFollowerOptions;
  /** Null while the room does not exist. */
  #position: Position | null = null;
  #recentIds: { seq: number; id: string }[] = [];
  #state: 'opening' | 'open' | 'closed' = 'opening';
  #catchingUp: Promise<void> | undefined;
  #needsRead = false;
  #retry: NodeJS.Timeout | undefined;
  #unsubscribe: () => void = () => undefined;

  constructor(options: LogFollowerOptions) {
    this.#options = options;
  }

  /** Starts at the newest entry. It subscribes first and then reads, so no entry is lost in between. */
  async open(): Promise<void> {
    const { store, room } = this.#options;
    this.#unsubscribe = await store.subscribe(room, this);
    try {
      this.#startAt(await store.readPage(room, { limit: 1 }));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The newest entry that was delivered, or the head at the start. */
  get position(): Position | null {
    return this.#position;
  }

  onAppend({ epoch, entries, ended }: AppendNotice): void {
    if (this.#state === 'opening') this.#needsRead = true;
    if (this.#state !== 'open') return;
    const isContiguous = entries.every((entry) => this.#position !== null && this.#accept(epoch, entry, ended && entry === entries.at(-1)));
    if (!isContiguous) this.#catchUpInBackground();
  }

  onPublish(message: Json): void {
    if (this.#state === 'open') this.#options.onPublish(message);
  }

  onGap(): void {
    if (this.#state === 'opening') this.#needsRead = true;
    else if (this.#state === 'open') this.#catchUpInBackground();
  }

  /** Resolves when everything that is in the log now has been delivered. */
  async catchUp(): Promise<void> {
    if (this.#catchingUp) this.#needsRead = true;
    this.#catchingUp ??= this.#readToHead().finally(() => (this.#catchingUp = undefined));
    await this.#catchingUp;
  }

  /** Resolves when this entry has been delivered, or its epoch is over. */
  async waitFor({ epoch, seq }: { epoch: string; seq: number }): Promise<void> {
    if (this.#position?.epoch !== epoch || this.#position.seq < seq) await this.catchUp();
  }

  close(): void {
    this.#state = 'closed';
    clearTimeout(this.#retry);
    this.#unsubscribe();
  }

  #startAt({ epoch, head, lastBroadcastId, entries }: Page): void {
    if (epoch !== null) this.#position = { epoch, seq: head, id: lastBroadcastId };
    this.#recentIds = entries.filter(({ quiet }) => !quiet).map(({ seq, id }) => ({ seq, id }));
    if (this.#state === 'opening') this.#state = 'open';
    if (this.#needsRead) this.#catchUpInBackground();
  }

  /** Delivers the next entry and ignores known ones. Returns false for any other entry: then the log must be read. */
  #accept(epoch: string, entry: Entry, ended: boolean): boolean {
    const position = this.#position ?? { epoch, seq: 0, id: null };
    const { seq, id, prev, quiet } = entry;
    const entryPosition = { epoch, seq, id, prev, quiet };
    const relation = classifyEntry(position, entryPosition);
    if (relation === 'known') return !this.#hasConflictingId(entry);
    if (relation !== 'next' || seq !== position.seq + 1) return false;
    this.#position = ended ? null : advancePosition(position, entryPosition);
    this.#remember(entry, ended);
    this.#options.onEntry({ epoch, entries: [entry], ended });
    return true;
  }

  #hasConflictingId({ seq, id }: Entry): boolean {
    return this.#recentIds.some((recent) => recent.seq === seq && recent.id !== id);
  }

  #remember({ seq, id, quiet }: Entry, ended: boolean): void {
    if (ended) this.#recentIds = [];
    else if (quiet) return;
    else if (this.#recentIds.push({ seq, id }) === 2 * MAX_RECENT_IDS) this.#recentIds.splice(0, MAX_RECENT_IDS);
  }

  /** Catches up in the background, with retries until it succeeds. */
  #catchUpInBackground(): void {
    this.catchUp().catch((error: unknown) => {
      this.#options.onError(error);
      clearTimeout(this.#retry);
      if (this.#state === 'open') this.#retry = setTimeout(() => this.#catchUpInBackground(), RETRY_DELAY_MS);
    });
  }

  async #readToHead(): Promise<void> {
    do {
      this.#needsRead = false;
      const { store, room } = this.#options;
      const startPosition = this.#position;
      // The last known entry is read again: if it has changed, the log was forked.
      const page = await readRestoredPage(store, room, { after: Math.max((startPosition?.seq ?? 0) - 1, 0), ...PAGE_LIMITS });
      if (this.#state !== 'open') return;
      if (this.#position?.epoch !== startPosition?.epoch) this.#needsRead = true;
      else await this.#applyPage(page, startPosition);
    } while (this.#needsRead);
  }

  async #applyPage(page: Page, startPosition: Position | null): Promise<void> {
    const { epoch, oldest } = page;
    const isOtherEpoch = epoch !== (startPosition?.epoch ?? epoch);
    const isTrimmed = oldest > (this.#position?.seq ?? 0) + 1;
    if (isOtherEpoch || isTrimmed) await this.#restart(page);
    else if (epoch !== null && !this.#acceptPage(epoch, page, startPosition)) await this.#startNewEpoch(epoch);
    else this.#needsRead ||= page.hasMore;
  }

  /**
   * Returns false if the page cannot be of the log that we follow. More entries may have been delivered since it was requested.
   */
  #acceptPage(epoch: string, { head, entries }: Page, startPosition: Position | null): boolean {
    return head >= (startPosition?.seq ?? 0) && entries.every((entry) => this.#accept(epoch, entry, false));
  }

  /**
   * Other nodes have appended to a different continuation of the log: a new epoch makes every client drop the entries that were
   * delivered beyond the fork.
   */
  async #startNewEpoch(epoch: string): Promise<void> {
    await this.#options.store.startNewEpoch(this.#options.room, epoch);
    this.#needsRead = true;
  }

  async #restart({ epoch, head, lastBroadcastId }: Page): Promise<void> {
    const common = epoch === null ? undefined : await this.#findNewestCommonEntry();
    if (this.#state !== 'open') return;
    if (epoch === null) this.#position = null;
    else this.#position = { epoch, ...(common ?? { seq: head, id: lastBroadcastId }) };
    this.#recentIds = this.#recentIds.filter(({ seq }) => seq <= (common?.seq ?? 0));
    this.#options.onReset({ epoch, seq: common?.seq ?? 0 });
    this.#needsRead = true;
  }

  /** The newest delivered entry that the log still has. */
  async #findNewestCommonEntry(): Promise<{ seq: number; id: string } | undefined> {
    const { store, room } = this.#options;
    const { entries } = await store.read(room, { seqs: this.#recentIds.map(({ seq }) => seq) });
    return this.#recentIds.findLast(({ seq, id }) => entries.get(seq)?.id === id);
  }
}
