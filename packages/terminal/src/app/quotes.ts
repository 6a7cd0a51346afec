import type { Chat, Room } from '@engawa/client';
import { type HistoryWindow, indexOfSeq, isTold } from './history-window.ts';

const MOST = 200;

/** The chats that others answer: those that are shown, and, read one by one, a few of those that are not. */
export class Quotes {
  readonly #source: Pick<Room, 'history' | 'position'>;
  readonly #changed: () => void;
  /** By seq; `undefined` while it is read, and when there is none. */
  readonly #read = new Map<number, Chat | undefined>();

  constructor(source: Pick<Room, 'history' | 'position'>, changed: () => void) {
    this.#source = source;
    this.#changed = changed;
  }

  of(seq: number, { chats }: Pick<HistoryWindow, 'chats'>): Chat | undefined {
    const found = chats[indexOfSeq(chats, (chat) => (isTold(chat) ? chat.seq : Number.POSITIVE_INFINITY), seq)];
    return found && isTold(found) && found.seq === seq ? found : this.#read.get(seq);
  }

  /** Reads it once, if it is not there. */
  want(seq: number, shown: Pick<HistoryWindow, 'chats'>): void {
    if (this.#read.has(seq) || this.of(seq, shown)) return;
    if (this.#read.size >= MOST) this.#read.clear();
    this.#read.set(seq, undefined);
    void this.#ask(seq);
  }

  /** That chat is another now. */
  changed(seq: number): void {
    this.#read.delete(seq);
  }

  reset(): void {
    this.#read.clear();
  }

  async #ask(seq: number): Promise<void> {
    const page = await this.#source.history({ around: seq, limit: 1 });
    const chat = page.ok && page.epoch === this.#source.position.epoch ? page.chats.find((each) => each.seq === seq) : undefined;
    if (!chat || !this.#read.has(seq)) return;
    this.#read.set(seq, chat);
    this.#changed();
  }
}
