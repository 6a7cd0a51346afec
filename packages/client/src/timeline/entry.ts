import type { MissedEntry } from '@engawa/protocol';
import type { EntryPosition } from '@engawa/protocol/position';

/** An entry as it came, known only to be at some place of a log; what it says may be of a kind that is not known here. */
export type Entry = EntryPosition & { roomId: string; kind: string };

/** The entries of a kind. Their fields may be missing when a server misbehaves: each use must bear that. */
export type EntryOf<Kind extends MissedEntry['kind']> = Extract<MissedEntry, { kind: Kind }>;

export const isKind = <Kind extends MissedEntry['kind']>(entry: { kind: string }, kind: Kind): entry is EntryOf<Kind> =>
  entry.kind === kind;

export const areStrings = (...values: unknown[]): boolean => values.every((value) => typeof value === 'string');

/** Anything as an entry, when it has what gives it its place. */
export function parseEntry(kind: string, fields: unknown): Entry | undefined {
  const entry = { ...(fields as Partial<Entry> | undefined), kind };
  const { roomId, epoch, seq, id, prev } = entry;
  const hasPosition = areStrings(roomId, epoch, id, prev === null ? id : prev) && Number.isSafeInteger(seq);
  return hasPosition ? (entry as Entry) : undefined;
}
