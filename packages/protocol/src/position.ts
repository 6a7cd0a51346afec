/** A reader's position in a room's log, and how a new entry relates to it (next, known, gap, fork). */
/** How far a reader has come in a room. */
export interface Position {
  /** One incarnation of the room's log. The part before a dot is the same in all forks of a log. */
  epoch: string;
  /** The newest entry that the reader has; 0 before the first. */
  seq: number;
  /** The `id` of the newest broadcast entry up to `seq`; null before the first. */
  id: string | null;
}

/** The position fields of an entry. */
export interface EntryPosition {
  epoch: string;
  seq: number;
  id: string;
  prev: string | null;
  quiet?: boolean;
}

/**
 * - `next`: no broadcast entry lies in between.
 * - `known`: the reader has the entry.
 * - `gap`: entries are missing before it.
 * - `fork`: it cannot be in the log of the reader, however many entries are in between.
 */
export type EntryRelation = 'next' | 'known' | 'gap' | 'fork';

/** Whether two logs are the same or forks of one log. A room that was deleted and created again is a different one. */
export const isSameLineage = (first: string, second: string): boolean => first.split('.', 1)[0] === second.split('.', 1)[0];

/** How an entry relates to the position of a reader. Servers and clients detect gaps, repeats and forks by this rule alone. */
export function classifyEntry(position: Position, { epoch, seq, id, prev, quiet = false }: EntryPosition): EntryRelation {
  if (epoch !== position.epoch) return 'fork';
  if (seq < position.seq) return 'known';
  if (seq === position.seq) return quiet || id === position.id ? 'known' : 'fork';
  if (prev === position.id) return 'next';
  return seq === position.seq + 1 ? 'fork' : 'gap';
}

/** The position after the reader has received this entry. */
export const advancePosition = (position: Position, { epoch, seq, id, quiet = false }: EntryPosition): Position => ({
  epoch,
  seq,
  id: quiet ? position.id : id,
});
