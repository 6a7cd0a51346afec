import type { Missed } from '@engawa/client';
import { indexOfSeq } from './history-window.ts';

/** What happened in a room beside chats, at its place. */
export interface Note {
  seq: number;
  at: number;
  kind: 'joined' | 'left' | 'gone' | 'removed' | 'topic';
  username: string;
  by: string;
  topic?: string;
}

const MOST = 500;

/** The latest notes of a room, in their order. */
export class Notes {
  #notes: Note[] = [];

  told(entry: Missed, me: string): void {
    const note = noteOf(entry, me);
    if (!note) return;
    this.#notes.push(note);
    if (this.#notes.length > 2 * MOST) this.#notes = this.#notes.slice(-MOST);
  }

  reset(): void {
    this.#notes = [];
  }

  /** Those after one seq and before another. */
  between(after: number, before: number): readonly Note[] {
    const start = indexOfSeq(this.#notes, ({ seq }) => seq, after + 1);
    const end = indexOfSeq(this.#notes, ({ seq }) => seq, before);
    return start < end ? this.#notes.slice(start, end) : [];
  }
}

/** Of one's own coming and going only others are told. */
export function noteOf(entry: Missed, me: string): Note | undefined {
  if (entry.erased) return undefined;
  const { seq, at, by } = entry;
  if (entry.kind === 'add:member' && entry.username !== me) return { seq, at, by, username: entry.username, kind: 'joined' };
  if (entry.kind === 'remove:member' && entry.username !== me) {
    return { seq, at, by, username: entry.username, kind: entry.reason === 'left' ? 'left' : entry.reason };
  }
  if (entry.kind === 'update:room' && entry.topic !== undefined) return { seq, at, by, username: by, kind: 'topic', topic: entry.topic };
  return undefined;
}
