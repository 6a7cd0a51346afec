import type { Answer } from '@engawa/protocol';
import { mentions } from '@engawa/protocol/mentions';
import { type Entry, type EntryOf, isKind } from './entry.ts';

const REST_MS = 500;
/** Unread chats that are known one by one. */
const MOST = 1_000;

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
 * How far everybody has read, and what is unread: as much as the server counted, and what was told since. The own mark is
 * told at most every half second; only the latest counts.
 */
export class ReadMarks {
  readonly #surroundings: Surroundings;
  readonly others = new Map<string, number>();
  #own = 0;
  #told = 0;
  #counted: Omit<Counted, 'read'> = { unread: 0, mentions: 0, asOf: 0 };
  /** Unread chats after those, and whether each names the reader. */
  readonly #since = new Map<number, boolean>();
  /** What the server counted is to be counted anew. */
  #isUnsure = false;
  #isTelling = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  get own(): number {
    return this.#own;
  }

  get unread(): number {
    return this.#counted.unread + this.#since.size;
  }

  get mentions(): number {
    return this.#counted.mentions + [...this.#since.values()].filter(Boolean).length;
  }

  /** A mark never goes back. */
  mark(seq: number): void {
    if (seq <= this.#own) return;
    this.#move(seq);
    void this.tell();
  }

  /** The server's own knowledge. */
  known({ read, unread = 0, mentions: named = 0, asOf }: Pick<Counted, 'read' | 'asOf'> & Partial<Counted>): void {
    this.#told = read;
    this.#counted = { unread, mentions: named, asOf };
    this.#isUnsure = false;
    for (const seq of this.#since.keys()) if (seq <= asOf) this.#since.delete(seq);
    this.#move(Math.max(this.#own, read));
  }

  /** Oneself has read elsewhere. */
  moved(read: number): void {
    this.#told = Math.max(this.#told, read);
    if (read <= this.#own) return;
    this.#move(read);
    this.#recount();
  }

  told(entry: Entry): void {
    if (isKind(entry, 'create:chat')) this.#toldChat(entry);
    if (!isKind(entry, 'update:chat') && !isKind(entry, 'delete:chat')) return;
    const { chatSeq } = entry;
    const text = isKind(entry, 'update:chat') ? entry.message : undefined;
    if (this.#since.has(chatSeq)) {
      if (typeof text === 'string') this.#since.set(chatSeq, mentions(text, this.#surroundings.me()));
      else if (isKind(entry, 'delete:chat')) this.#since.delete(chatSeq);
    } else if (chatSeq > this.#own && entry.seq > this.#counted.asOf) this.#recount();
  }

  /** The seqs of another log mean nothing in this one. */
  reset(): void {
    this.others.clear();
    this.#since.clear();
    this.#counted = { unread: 0, mentions: 0, asOf: 0 };
    this.#own = 0;
    this.#told = 0;
  }

  /** Returns whether it is news. */
  heard(username: string, seq: number): boolean {
    if (seq <= (this.others.get(username) ?? 0)) return false;
    this.others.set(username, seq);
    return true;
  }

  /** To be called again whenever the room is live: what could not be told is told then. */
  async tell(): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    await Promise.resolve();
    while (this.#own > this.#told || this.#isUnsure) {
      const seq = this.#own;
      const answer = await this.#surroundings.say(seq);
      if (!answer?.ok) break;
      this.#answered(answer, seq);
      await this.#surroundings.rest(REST_MS);
    }
    this.#isTelling = false;
  }

  #answered(answer: Counted, seq: number): void {
    this.#told = Math.max(this.#told, seq);
    this.#isUnsure = false;
    if (!(answer.read >= this.#own)) return;
    this.known(answer);
    this.#surroundings.changed();
  }

  #toldChat({ seq, username, message, deleted }: EntryOf<'create:chat'>): void {
    const me = this.#surroundings.me();
    const isUnread = seq > this.#own && seq > this.#counted.asOf && username !== me && !deleted && this.#since.size < MOST;
    if (isUnread && typeof message === 'string') this.#since.set(seq, mentions(message, me));
  }

  #move(seq: number): void {
    this.#own = seq;
    for (const each of this.#since.keys()) if (each <= seq) this.#since.delete(each);
    const { asOf } = this.#counted;
    if (seq >= asOf) this.#counted = { unread: 0, mentions: 0, asOf };
  }

  #recount(): void {
    if (this.#counted.unread === 0) return;
    this.#isUnsure = true;
    void this.tell();
  }
}
