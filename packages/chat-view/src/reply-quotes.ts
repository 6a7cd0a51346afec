// The chats that replies quote, loaded one by one when needed.
import type { Chat, Room } from '@engawa/client';
import { findSeqIndex, type HistoryWindow, isConfirmed } from './history-window.ts';

const MAX_CACHED_CHATS = 200;

export class ReplyQuotes {
  readonly #source: Pick<Room, 'history' | 'position'>;
  readonly #onChange: () => void;
  /** By seq. `undefined` while loading, or if the chat does not exist. */
  readonly #loaded = new Map<number, Chat | undefined>();

  constructor(source: Pick<Room, 'history' | 'position'>, invalidate: () => void) {
    this.#source = source;
    this.#onChange = invalidate;
  }

  find(seq: number, { chats }: Pick<HistoryWindow, 'chats'>): Chat | undefined {
    const found = chats[findSeqIndex(chats, (chat) => (isConfirmed(chat) ? chat.seq : Number.POSITIVE_INFINITY), seq)];
    return found && isConfirmed(found) && found.seq === seq ? found : this.#loaded.get(seq);
  }

  /** Loads a chat once, if the history does not have it. */
  load(seq: number, history: Pick<HistoryWindow, 'chats'>): void {
    if (this.#loaded.has(seq) || this.find(seq, history)) return;
    if (this.#loaded.size >= MAX_CACHED_CHATS) this.#loaded.clear();
    this.#loaded.set(seq, undefined);
    void this.#fetch(seq);
  }

  /** The chat has changed. */
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
