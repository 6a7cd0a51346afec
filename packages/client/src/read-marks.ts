import type { Answer } from '@engawa/protocol';
import type { Entry, EntryOf } from './entry.ts';

const REST_MS = 500;

/** What a server counted: chats by others after the mark, up to an entry. */
interface Counted {
  read: number;
  unread: number;
  mentions: number;
  asOf: number;
}

interface Surroundings {
  me: () => string;
  /** Nothing when there was no answer. */
  say: (seq: number) => Promise<Answer<'mark:read'> | undefined>;
  rest: (milliseconds: number) => Promise<void>;
  changed: () => void;
}

/**
 * How far everybody has read, and what is unread: as much as the server counted, and what was told since. Where that does
 * not say, the server is asked once more, by a mark. The own mark is told at most every half second; only the latest counts.
 */
export class ReadMarks {
  readonly #surroundings: Surroundings;
  /** Another map after each change. */
  others: ReadonlyMap<string, number> = new Map();
  own = 0;
  unread = 0;
  mentions = 0;
  /** Chats up to this entry are counted. */
  #asOf = 0;
  /** As far as the server was told; less than that, and it is to count anew. */
  #told = 0;
  #isTelling = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** A mark never goes back. */
  mark(seq: number): void {
    if (seq <= this.own) return;
    this.own = seq;
    if (seq >= this.#asOf) this.#count(0, 0);
    void this.tell();
  }

  /** The server's own knowledge. */
  known({ read, unread, mentions: named, asOf }: Counted): void {
    this.#told = read;
    this.#asOf = asOf;
    this.own = Math.max(this.own, read);
    if (this.own < asOf) this.#count(unread, named);
    else this.#count(0, 0);
  }

  told(entry: Entry): void {
    if (entry.seq <= this.#asOf) return;
    this.#asOf = entry.seq;
    const me = this.#surroundings.me();
    const { kind, username, message } = entry as Partial<EntryOf<'create:chat'>>;
    const isUnread = kind === 'create:chat' && username !== me && entry.seq > this.own;
    if (isUnread) this.unread += 1;
    // Whether that names the reader, and what became of others, the server says.
    if (isUnread ? folded(message).includes(folded(me)) : this.unread > 0 && /^(upda|dele)te:chat/.test(String(kind))) {
      this.#told = 0;
      void this.tell();
    }
  }

  /** The seqs of another log mean nothing in this one. */
  reset(): void {
    this.others = new Map();
    this.own = this.#told = this.#asOf = 0;
    this.#count(0, 0);
  }

  /** Returns whether it is news. Oneself may have read on another device. */
  heard(username: string, seq: number): boolean {
    const isOwn = username === this.#surroundings.me();
    if (seq <= (isOwn ? this.own : (this.others.get(username) ?? 0))) return false;
    if (isOwn) this.mark(seq);
    else this.others = new Map(this.others).set(username, seq);
    return true;
  }

  /** To be called again whenever the room is live: what could not be told is told then. */
  async tell(): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    await Promise.resolve();
    while (this.own > this.#told) {
      const seq = this.own;
      const answer = await this.#surroundings.say(seq);
      if (!answer?.ok) break;
      // What was told while it counted is not in it: then it counts once more.
      if (seq === this.own && answer.asOf >= this.#asOf) this.known(answer);
      else if (this.unread === 0) this.#told = seq;
      this.#surroundings.changed();
      await this.#surroundings.rest(REST_MS);
    }
    this.#isTelling = false;
  }

  #count(unread: number, named: number): void {
    this.unread = unread;
    this.mentions = named;
  }
}

const folded = (text: unknown): string => String(text).normalize('NFKC').toLowerCase();
