import type { Ack } from '@engawa/protocol';
import type { Entry, EntryOf } from '../timeline/entry.ts';

const MARK_INTERVAL_MS = 500;

/** What a server counted: chats by others after the mark, up to an entry. */
interface UnreadCounts {
  read: number;
  unread: number;
  mentions: number;
  asOf: number;
}

interface ReadMarksOptions {
  getUsername: () => string;
  /** Nothing when there was no answer. */
  sendMark: (seq: number) => Promise<Ack<'mark:read'> | undefined>;
  sleep: (milliseconds: number) => Promise<void>;
  onChange: () => void;
}

/**
 * How far everybody has read, and what is unread: as much as the server counted, and what was told since. Where that does
 * not say, the server is asked once more, by a mark. The own mark is told at most every half second; only the latest counts.
 */
export class ReadMarks {
  readonly #options: ReadMarksOptions;
  /** Another map after each change. */
  others: ReadonlyMap<string, number> = new Map();
  own = 0;
  unread = 0;
  mentions = 0;
  /** Chats up to this entry are counted. */
  #asOf = 0;
  /** As far as the server was told; less than that, and it is to count anew. */
  #reportedSeq = 0;
  #isReporting = false;

  constructor(options: ReadMarksOptions) {
    this.#options = options;
  }

  /** A mark never goes back. */
  markRead(seq: number): void {
    if (seq <= this.own) return;
    this.own = seq;
    if (seq >= this.#asOf) this.#setCounts(0, 0);
    void this.report();
  }

  /** The server's own knowledge. */
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
    // Whether that names the reader, and what became of others, the server says.
    if (isUnread ? foldCase(message).includes(foldCase(me)) : this.unread > 0 && /^(upda|dele)te:chat/.test(String(kind))) {
      this.#reportedSeq = 0;
      void this.report();
    }
  }

  /** The seqs of another log mean nothing in this one. */
  reset(): void {
    this.others = new Map();
    this.own = this.#reportedSeq = this.#asOf = 0;
    this.#setCounts(0, 0);
  }

  /** Returns whether it is news. Oneself may have read on another device. */
  onReadMark(username: string, seq: number): boolean {
    const isOwn = username === this.#options.getUsername();
    if (seq <= (isOwn ? this.own : (this.others.get(username) ?? 0))) return false;
    if (isOwn) this.markRead(seq);
    else this.others = new Map(this.others).set(username, seq);
    return true;
  }

  /** To be called again whenever the room is live: what could not be told is told then. */
  async report(): Promise<void> {
    if (this.#isReporting) return;
    this.#isReporting = true;
    await Promise.resolve();
    while (this.own > this.#reportedSeq) {
      const seq = this.own;
      const answer = await this.#options.sendMark(seq);
      if (!answer?.ok) break;
      // What was told while it counted is not in it: then it counts once more.
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
