// System notes between chats: who joined or left, topic changes.
import type { MissedEntry } from '@engawa/client';
import { findSeqIndex } from './history-window.ts';

/** An event of a room, at its position. */
export interface SystemNote {
  seq: number;
  at: number;
  kind: 'joined' | 'left' | 'timed_out' | 'removed' | 'topic';
  username: string;
  by: string;
  topic?: string;
}

const MAX_NOTES = 500;

/** The most recent notes of a room, in order. */
export class SystemNotes {
  #notes: SystemNote[] = [];

  addEntry(entry: MissedEntry, me: string): void {
    const note = toSystemNote(entry, me);
    if (!note) return;
    this.#notes.push(note);
    if (this.#notes.length > 2 * MAX_NOTES) this.#notes = this.#notes.slice(-MAX_NOTES);
  }

  reset(): void {
    this.#notes = [];
  }

  /** Notes between two seqs, both exclusive. */
  between(after: number, before: number): readonly SystemNote[] {
    const start = findSeqIndex(this.#notes, ({ seq }) => seq, after + 1);
    const end = findSeqIndex(this.#notes, ({ seq }) => seq, before);
    return start < end ? this.#notes.slice(start, end) : [];
  }
}

/** Own joins and leaves are not shown. */
export function toSystemNote(entry: MissedEntry, me: string): SystemNote | undefined {
  if (entry.erased) return undefined;
  const { seq, at, by } = entry;
  if (entry.kind === 'add:member' && entry.username !== me) return { seq, at, by, username: entry.username, kind: 'joined' };
  if (entry.kind === 'remove:member' && entry.username !== me) {
    return { seq, at, by, username: entry.username, kind: entry.reason === 'left' ? 'left' : entry.reason };
  }
  if (entry.kind === 'update:room' && entry.topic !== undefined) return { seq, at, by, username: by, kind: 'topic', topic: entry.topic };
  return undefined;
}
