/** Parsing of log entries that come from the server. */
import type { MissedEntry } from '@engawa/protocol';
import type { EntryPosition } from '@engawa/protocol/position';

/** An entry as it was received. Only its position is checked: it may be of an unknown kind. */
export type Entry = EntryPosition & { roomId: string; kind: string };

/** The entries of a kind. If a server misbehaves, fields are missing: check each one before use. */
export type EntryOf<Kind extends MissedEntry['kind']> = Extract<MissedEntry, { kind: Kind }>;

export const isKind = <Kind extends MissedEntry['kind']>(entry: { kind: string }, kind: Kind): entry is EntryOf<Kind> =>
  entry.kind === kind;

export const areStrings = (...values: unknown[]): boolean => values.every((value) => typeof value === 'string');

/** Undefined if the fields have no valid position. */
export function parseEntry(kind: string, fields: unknown): Entry | undefined {
  const entry = { ...(fields as Partial<Entry> | undefined), kind };
  const { roomId, epoch, seq, id, prev } = entry;
  const hasPosition = areStrings(roomId, epoch, id, prev === null ? id : prev) && Number.isSafeInteger(seq);
  return hasPosition ? (entry as Entry) : undefined;
}
