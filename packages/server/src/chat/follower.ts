import { after, type Position, stepTo } from '@engawa/protocol';
import type { Entry, Json, Listener, Page, Store, Told } from '../store/store.ts';
import { ANSWER_BYTES } from './budget.ts';
import { pageToTell } from './telling.ts';

const PAGE = { limit: 500, bytes: ANSWER_BYTES };
/** Newest told entries that are remembered by their ids: so far back it is known where a fork began. */
const REMEMBERED = 32;
const AGAIN_MS = 1_000;

export interface Following {
  store: Store;
  room: string;
  /** Every entry of the log, once and in order. */
  tell: (told: Told) => void;
  /** The log is another one than what was told before; up to `seq` both are the same. Without an epoch it is gone. */
  reset: (to: { epoch: string | null; seq: number }) => void;
  announced: (signal: Json) => void;
  onError: (error: unknown) => undefined;
}

/**
 * Follows the log of one room on any store. What a subscription says is only a hint that there is something: it may be
 * late, twice, out of order, or missing. Whatever does not come next is read from the log, so what is told is the log.
 */
export class Follower implements Listener {
  readonly #following: Following;
  /** Null while there is no such room. */
  #position: Position | null = null;
  #remembered: { seq: number; id: string }[] = [];
  #state: 'opening' | 'open' | 'closed' = 'opening';
  #reading: Promise<void> | undefined;
  #readAgain = false;
  #retry: NodeJS.Timeout | undefined;
  #unsubscribe: () => void = () => undefined;

  constructor(following: Following) {
    this.#following = following;
  }

  /** Follows from the newest entry on: subscribed first, then read, so nothing falls between. */
  async open(): Promise<void> {
    const { store, room } = this.#following;
    this.#unsubscribe = await store.subscribe(room, this);
    try {
      this.#beginAt(await store.page(room, { limit: 1 }));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The newest entry that was told, or that was there when it began. */
  get position(): Position | null {
    return this.#position;
  }

  appended({ epoch, entries, ended }: Told): void {
    if (this.#state === 'opening') this.#readAgain = true;
    if (this.#state !== 'open') return;
    const isTold = entries.every((entry) => this.#position !== null && this.#meet(epoch, entry, ended && entry === entries.at(-1)));
    if (!isTold) this.#readOn();
  }

  announced(signal: Json): void {
    if (this.#state === 'open') this.#following.announced(signal);
  }

  missed(): void {
    if (this.#state === 'opening') this.#readAgain = true;
    else if (this.#state === 'open') this.#readOn();
  }

  /** Resolves when everything that is in the log by now was told. */
  async catchUp(): Promise<void> {
    if (this.#reading) this.#readAgain = true;
    this.#reading ??= this.#readToTheHead().finally(() => (this.#reading = undefined));
    await this.#reading;
  }

  /** Resolves when this entry was told, or its life of the log is over. */
  async reached({ epoch, seq }: { epoch: string; seq: number }): Promise<void> {
    if (this.#position?.epoch !== epoch || this.#position.seq < seq) await this.catchUp();
  }

  close(): void {
    this.#state = 'closed';
    clearTimeout(this.#retry);
    this.#unsubscribe();
  }

  #beginAt({ epoch, head, tail, entries }: Page): void {
    if (epoch !== null) this.#position = { epoch, seq: head, id: tail };
    this.#remembered = entries.filter(({ quiet }) => !quiet).map(({ seq, id }) => ({ seq, id }));
    if (this.#state === 'opening') this.#state = 'open';
    if (this.#readAgain) this.#readOn();
  }

  /** Tells what comes next and passes over what is known; false for anything else, which the log has to explain. */
  #meet(epoch: string, entry: Entry, ended: boolean): boolean {
    const position = this.#position ?? { epoch, seq: 0, id: null };
    const { seq, id, prev, quiet } = entry;
    const placed = { epoch, seq, id, prev, quiet };
    const step = stepTo(position, placed);
    if (step === 'known') return !this.#contradicts(entry);
    if (step !== 'next' || seq !== position.seq + 1) return false;
    this.#position = ended ? null : after(position, placed);
    this.#remember(entry, ended);
    this.#following.tell({ epoch, entries: [entry], ended });
    return true;
  }

  #contradicts({ seq, id }: Entry): boolean {
    return this.#remembered.some((told) => told.seq === seq && told.id !== id);
  }

  #remember({ seq, id, quiet }: Entry, ended: boolean): void {
    if (ended) this.#remembered = [];
    else if (quiet) return;
    else if (this.#remembered.push({ seq, id }) === 2 * REMEMBERED) this.#remembered.splice(0, REMEMBERED);
  }

  /** Reads on without anybody waiting for it, until it succeeds. */
  #readOn(): void {
    this.catchUp().catch((error: unknown) => {
      this.#following.onError(error);
      clearTimeout(this.#retry);
      if (this.#state === 'open') this.#retry = setTimeout(() => this.#readOn(), AGAIN_MS);
    });
  }

  async #readToTheHead(): Promise<void> {
    do {
      this.#readAgain = false;
      const { store, room } = this.#following;
      const asked = this.#position;
      // The entry that we have is read once more: if it is another one, the log was forked.
      const page = await pageToTell(store, room, { after: Math.max((asked?.seq ?? 0) - 1, 0), ...PAGE });
      if (this.#state !== 'open') return;
      if (this.#position?.epoch !== asked?.epoch) this.#readAgain = true;
      else await this.#take(page, asked);
    } while (this.#readAgain);
  }

  async #take(page: Page, asked: Position | null): Promise<void> {
    const { epoch, oldest } = page;
    const isOtherLife = epoch !== (asked?.epoch ?? epoch);
    const isTrimmed = oldest > (this.#position?.seq ?? 0) + 1;
    if (isOtherLife || isTrimmed) await this.#startAnew(page);
    else if (epoch !== null && !this.#tellPage(epoch, page, asked)) await this.#fork(epoch);
    else this.#readAgain ||= page.more;
  }

  /** False when the page cannot be of the log that we have followed. More may have been told since it was asked for. */
  #tellPage(epoch: string, { head, entries }: Page, asked: Position | null): boolean {
    return head >= (asked?.seq ?? 0) && entries.every((entry) => this.#meet(epoch, entry, false));
  }

  /** What others appended since rests on the new life; what we told beyond the fork is withdrawn. */
  async #fork(epoch: string): Promise<void> {
    await this.#following.store.fork(this.#following.room, epoch);
    this.#readAgain = true;
  }

  async #startAnew({ epoch, head, tail }: Page): Promise<void> {
    const common = epoch === null ? undefined : await this.#newestCommon();
    if (this.#state !== 'open') return;
    if (epoch === null) this.#position = null;
    else this.#position = { epoch, ...(common ?? { seq: head, id: tail }) };
    this.#remembered = this.#remembered.filter(({ seq }) => seq <= (common?.seq ?? 0));
    this.#following.reset({ epoch, seq: common?.seq ?? 0 });
    this.#readAgain = true;
  }

  /** The newest entry that we told and that the log has still. */
  async #newestCommon(): Promise<{ seq: number; id: string } | undefined> {
    const { store, room } = this.#following;
    const { entries } = await store.read(room, { seqs: this.#remembered.map(({ seq }) => seq) });
    return this.#remembered.findLast(({ seq, id }) => entries.get(seq)?.id === id);
  }
}
