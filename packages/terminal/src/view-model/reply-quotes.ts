import type { Chat, Room } from '@engawa/client';
import { findSeqIndex, type HistoryWindow, isConfirmed } from './history-window.ts';

const MAX_CACHED_CHATS = 200;

/** The chats that others answer: those that are shown, and, read one by one, a few of those that are not. */
export class ReplyQuotes {
  readonly #source: Pick<Room, 'history' | 'position'>;
  readonly #onChange: () => void;
  /** By seq; `undefined` while it is read, and when there is none. */
  readonly #loaded = new Map<number, Chat | undefined>();

  constructor(source: Pick<Room, 'history' | 'position'>, invalidate: () => void) {
    this.#source = source;
    this.#onChange = invalidate;
  }

  find(seq: number, { chats }: Pick<HistoryWindow, 'chats'>): Chat | undefined {
    const found = chats[findSeqIndex(chats, (chat) => (isConfirmed(chat) ? chat.seq : Number.POSITIVE_INFINITY), seq)];
    return found && isConfirmed(found) && found.seq === seq ? found : this.#loaded.get(seq);
  }

  /** Reads it once, if it is not there. */
  load(seq: number, history: Pick<HistoryWindow, 'chats'>): void {
    if (this.#loaded.has(seq) || this.find(seq, history)) return;
    if (this.#loaded.size >= MAX_CACHED_CHATS) this.#loaded.clear();
    this.#loaded.set(seq, undefined);
    void this.#fetch(seq);
  }

  /** That chat is another now. */
  invalidate(seq: number): void {
    this.#loaded.delete(seq);
  }

  reset(): void {
    this.#loaded.clear();
  }

  async #fetch(seq: number): Promise<void> {
    const page = await this.#source.history({ around: seq, limit: 1 });
    const chat = page.ok && page.epoch === this.#source.position.epoch ? page.chats.find((each) => each.seq === seq) : undefined;
    if (!chat || !this.#loaded.has(seq)) return;
    this.#loaded.set(seq, chat);
    this.#onChange();
  }
}
