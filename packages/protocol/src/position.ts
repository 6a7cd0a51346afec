/** Where a reader of a room is. */
export interface Position {
  /** One life of the room's log; another epoch means another log. What stands before a dot is the same in all forks of a log. */
  epoch: string;
  /** The newest entry that he has; 0 before the first. */
  seq: number;
  /** The `id` of the newest entry up to there that was told to the room; null before the first. */
  id: string | null;
}

/** What of an entry says where it belongs. */
export interface EntryPosition {
  epoch: string;
  seq: number;
  id: string;
  prev: string | null;
  quiet?: boolean;
}

/**
 * `next`: nothing that was told lies between. `known`: he has it. `gap`: entries are missing before it.
 * `fork`: it cannot be in the same log as what he has, whatever lies between.
 */
export type EntryRelation = 'next' | 'known' | 'gap' | 'fork';

/** Whether two logs are, or were once, the same: a room that was deleted and opened again is another. */
export const isSameLineage = (first: string, second: string): boolean => first.split('.', 1)[0] === second.split('.', 1)[0];

/** What an entry is to a reader: the one rule by which every end of Engawa finds gaps, repeats and forks. */
export function classifyEntry(position: Position, { epoch, seq, id, prev, quiet = false }: EntryPosition): EntryRelation {
  if (epoch !== position.epoch) return 'fork';
  if (seq < position.seq) return 'known';
  if (seq === position.seq) return quiet || id === position.id ? 'known' : 'fork';
  if (prev === position.id) return 'next';
  return seq === position.seq + 1 ? 'fork' : 'gap';
}

/** Where the reader is once he has this entry. */
export const advancePosition = (position: Position, { epoch, seq, id, quiet = false }: EntryPosition): Position => ({
  epoch,
  seq,
  id: quiet ? position.id : id,
});
