/** What the main thread asks of the writer, and what it is answered. JSON values cross as text: they are stored so. */

interface DraftRow {
  id: string;
  by: string;
  author: string;
  kind: string;
  body: string;
  quiet: boolean;
  listed: boolean;
  sets: [key: string, value: string | null][];
  erases: number[];
  lease: { key: string; node: string } | null;
  ends: boolean;
}

export interface AppendOperation {
  do: 'append';
  room: string;
  /** Opens the room under this epoch, when the append may. */
  newEpoch: string;
  epoch: string | null;
  given: [key: string, seq: number][];
  once: string | null;
  lapsed: string | null;
  drafts: DraftRow[];
}

export type Operation =
  | AppendOperation
  | { do: 'beat'; node: string; ttl: number }
  | { do: 'hold'; room: string; key: string; seq: number; node: string }
  | { do: 'release'; room: string; key: string; node: string; ttl: number };

export interface PlacedEntry {
  seq: number;
  id: string;
  at: number;
  prev: string | null;
}

export type AppendAnswer = { outcome: 'appended' | 'repeated'; epoch: string; entries: PlacedEntry[] } | { outcome: 'stale' };

interface Failure {
  failed: 'full' | 'failed';
  message: string;
}

/** A beat and a release are answered true. */
export type OperationAnswer = AppendAnswer | boolean | Failure;

export interface Batch {
  /** The store's clock when the batch was sent, milliseconds since 1970. */
  now: number;
  operations: Operation[];
}

/** To the writer; `close` finishes what was sent before it. */
export type ToWriter = Batch | 'close';
/** From the writer: once when it is open (or could not open), then the answers of each batch, in its order. */
export type FromWriter = 'open' | Failure | OperationAnswer[];
