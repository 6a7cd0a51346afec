import type { Missed } from '@engawa/protocol';
import type { Placed } from '@engawa/protocol/position';

/** An entry as it came, known only to be at some place of a log; what it says may be of a kind that is not known here. */
export type Entry = Placed & { roomId: string; kind: string };

/** The entries of a kind. Their fields may be missing when a server misbehaves: each use must bear that. */
export type EntryOf<Kind extends Missed['kind']> = Extract<Missed, { kind: Kind }>;

export const isKind = <Kind extends Missed['kind']>(entry: { kind: string }, kind: Kind): entry is EntryOf<Kind> => entry.kind === kind;

export const areStrings = (...values: unknown[]): boolean => values.every((value) => typeof value === 'string');

/** Anything as an entry, when it has what gives it its place. */
export function asEntry(kind: string, told: unknown): Entry | undefined {
  const entry = { ...(told as Partial<Entry> | undefined), kind };
  const { roomId, epoch, seq, id, prev } = entry;
  const isPlaced = areStrings(roomId, epoch, id, prev === null ? id : prev) && Number.isSafeInteger(seq);
  return isPlaced ? (entry as Entry) : undefined;
}
