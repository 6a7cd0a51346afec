/** Read marks and unread counts of a room. */
import type { Ack } from '@engawa/protocol';
import type { Entry, EntryOf } from '../timeline/entry.ts';

const MARK_INTERVAL_MS = 500;

/** Counts from the server: chats by others after the read mark, up to the entry `asOf`. */
interface UnreadCounts {
  read: number;
  unread: number;
  mentions: number;
  asOf: number;
}

interface ReadMarksOptions {
  getUsername: () => string;
  /** Undefined without an answer. */
  sendMark: (seq: number) => Promise<Ack<'mark:read'> | undefined>;
  sleep: (milliseconds: number) => Promise<void>;
  onChange: () => void;
}

/**
 * How far each member has read, and how much is unread: the server's counts, plus the entries since. Where the entries are not
 * enough, it asks the server to count again, by sending a mark. It sends its own mark at most every half second, and only the
 * latest one.
 */
export class ReadMarks {
  readonly #options: ReadMarksOptions;
  /** Replaced after each change, never mutated. */
  others: ReadonlyMap<string, number> = new Map();
  own = 0;
  unread = 0;
  mentions = 0;
  /** Chats up to this entry are counted. */
  #asOf = 0;
  /** The mark that the server knows. If it is less than `own`, the server has to count again. */
  #reportedSeq = 0;
  #isReporting = false;

  constructor(options: ReadMarksOptions) {
    this.#options = options;
  }

  /** A mark never moves back. */
  markRead(seq: number): void {
    if (seq <= this.own) return;
    this.own = seq;
    if (seq >= this.#asOf) this.#setCounts(0, 0);
    void this.report();
  }

  onServerCounts({ read, unread, mentions: mentionCount, asOf }: UnreadCounts): void {
    this.#reportedSeq = read;
    this.#asOf = asOf;
    this.own = Math.max(this.own, read);
    if (this.own < asOf) this.#setCounts(unread, mentionCount);
    else this.#setCounts(0, 0);
  }

  onEntry(entry: Entry): void {
    if (entry.seq <= this.#asOf) return;
    this.#asOf = entry.seq;
    const me = this.#options.getUsername();
    const { kind, username, message } = entry as Partial<EntryOf<'create:chat'>>;
    const isUnread = kind === 'create:chat' && username !== me && entry.seq > this.own;
    if (isUnread) this.unread += 1;
    // Only the server knows whether a chat that may mention the reader does, and which chats an edit or a deletion leaves.
    if (isUnread ? foldCase(message).includes(foldCase(me)) : this.unread > 0 && /^(upda|dele)te:chat/.test(String(kind))) {
      this.#reportedSeq = 0;
      void this.report();
    }
  }

  /** The seqs of another log have no meaning in this one. */
  reset(): void {
    this.others = new Map();
    this.own = this.#reportedSeq = this.#asOf = 0;
    this.#setCounts(0, 0);
  }

  /** Returns whether the mark has moved. An own mark can come from another device. */
  onReadMark(username: string, seq: number): boolean {
    const isOwn = username === this.#options.getUsername();
    if (seq <= (isOwn ? this.own : (this.others.get(username) ?? 0))) return false;
    if (isOwn) this.markRead(seq);
    else this.others = new Map(this.others).set(username, seq);
    return true;
  }

  /** Call it whenever the room becomes live: it sends what could not be sent before. */
  async report(): Promise<void> {
    if (this.#isReporting) return;
    this.#isReporting = true;
    await Promise.resolve();
    while (this.own > this.#reportedSeq) {
      const seq = this.own;
      const answer = await this.#options.sendMark(seq);
      if (!answer?.ok) break;
      // Entries that arrived while the server counted are not in its counts: it counts again.
      if (seq === this.own && answer.asOf >= this.#asOf) this.onServerCounts(answer);
      else if (this.unread === 0) this.#reportedSeq = seq;
      this.#options.onChange();
      await this.#options.sleep(MARK_INTERVAL_MS);
    }
    this.#isReporting = false;
  }

  #setCounts(unread: number, mentionCount: number): void {
    this.unread = unread;
    this.mentions = mentionCount;
  }
}

const foldCase = (text: unknown): string => String(text).normalize('NFKC').toLowerCase();
