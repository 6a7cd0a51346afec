import type { Append, Draft, Key, Parcel } from '../store.ts';

/** What the main thread asks of the writer, and what it is answered. Bodies cross as text: they are stored so. */

type DraftRow = Omit<Draft, 'body'> & { body: string };

export type AppendOperation = Omit<Append, 'drafts'> & { do: 'append'; room: string; drafts: DraftRow[] };

/** A parcel whose bodies and values are text. */
export interface UnpackOperation {
  do: 'unpack';
  room: string;
  head: Parcel['head'];
  entries: (Omit<Parcel['entries'][number], 'body'> & { body: string | null })[];
  keys: [key: string, of: Omit<Key, 'value'> & { value: string }][];
  tickets: (Omit<Parcel['tickets'][number], 'value'> & { value: string })[];
  onces: Parcel['onces'];
}

export type Operation =
  | AppendOperation
  | UnpackOperation
  | { do: 'beat'; node: string; ttl: number }
  | { do: 'hold'; room: string; key: string; seq: number; node: string }
  | { do: 'release'; room: string; key: string; node: string; ttl: number }
  | { do: 'setAside'; room: string; key: string; ttl: number }
  | { do: 'mark'; room: string; key: string; seq: number }
  | { do: 'fork'; room: string; epoch: string; newEpoch: string }
  | { do: 'trim'; room: string; epoch: string; below: number };

export interface PlacedEntry {
  seq: number;
  id: string;
  at: number;
  tick: number;
  prev: string | null;
}

export type AppendAnswer = { outcome: 'appended' | 'repeated'; epoch: string; entries: PlacedEntry[] } | { outcome: 'stale' };

interface Failure {
  failed: 'full' | 'failed';
  message: string;
}

/** A mark is answered with where it is, a fork with the epoch in force, a trim with whether it is done, an unpack with whether it
 * opened the room; beat and release with true. */
export type OperationAnswer = AppendAnswer | boolean | number | string | null | Failure;

export interface Batch {
  /** The store's clock when the batch was sent, milliseconds since 1970. */
  now: number;
  operations: Operation[];
}

/** To the writer; `close` finishes what was sent before it. */
export type ToWriter = Batch | 'close';
/** Of the writer, once: it is open. `wasRestored`: its database is an older one than was here before. */
export interface Opened {
  opened: true;
  wasRestored: boolean;
}

/** From the writer: once when it is open (or could not open), then the answers of each batch, in its order. */
export type FromWriter = Opened | Failure | OperationAnswer[];
