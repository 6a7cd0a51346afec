import type { Missed } from '@engawa/protocol';
import type { Placed } from '@engawa/protocol/position';

/** An entry as it came, known only to be at some place of a log; what it says may be of a kind that is not known here. */
export type Entry = Placed & { roomId: string; kind: string };

/** The entries of a kind. Their fields may be missing when a server misbehaves: each use must bear that. */
export type EntryOf<Kind extends Missed['kind']> = Extract<Missed, { kind: Kind }>;

export const isKind = <Kind extends Missed['kind']>(entry: { kind: string }, kind: Kind): entry is EntryOf<Kind> => entry.kind === kind;

/** Anything as an entry, when it has what gives it its place. */
export function asEntry(kind: string, told: unknown): Entry | undefined {
  if (typeof told !== 'object' || told === null) return undefined;
  const { roomId, epoch, seq, id, prev } = told as Partial<Record<keyof Entry, unknown>>;
  const isPlaced = typeof epoch === 'string' && Number.isSafeInteger(seq) && typeof id === 'string';
  const isTold = prev === null || typeof prev === 'string';
  return typeof roomId === 'string' && isPlaced && isTold ? ({ ...told, kind } as Entry) : undefined;
}
