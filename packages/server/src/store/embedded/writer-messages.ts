import type { AppendRequest, Draft, KeyState, RoomChunk } from '../contract.ts';

/** What the main thread asks of the writer, and what it is answered. Bodies cross as text: they are stored so. */

type DraftRow = Omit<Draft, 'body'> & { body: string };

export type AppendOperation = Omit<AppendRequest, 'drafts'> & { do: 'append'; room: string; drafts: DraftRow[] };

/** A parcel whose bodies and values are text. */
export interface ImportOperation {
  do: 'importChunk';
  room: string;
  head: RoomChunk['head'];
  entries: (Omit<RoomChunk['entries'][number], 'body'> & { body: string | null })[];
  keys: [key: string, state: Omit<KeyState, 'value'> & { value: string }][];
  tickets: (Omit<RoomChunk['tickets'][number], 'value'> & { value: string })[];
  idempotencyKeys: RoomChunk['idempotencyKeys'];
}

export type Operation =
  | AppendOperation
  | ImportOperation
  | { do: 'heartbeat'; node: string; ttl: number }
  | { do: 'acquireLease'; room: string; key: string; seq: number; node: string }
  | { do: 'releaseLease'; room: string; key: string; node: string; ttl: number }
  | { do: 'expireLease'; room: string; key: string; ttl: number }
  | { do: 'advanceMark'; room: string; key: string; seq: number }
  | { do: 'startNewEpoch'; room: string; epoch: string; newEpoch: string }
  | { do: 'trim'; room: string; epoch: string; below: number };

export interface AppendedEntry {
  seq: number;
  id: string;
  at: number;
  hlc: number;
  prev: string | null;
}

export type AppendOperationResult = { outcome: 'appended' | 'repeated'; epoch: string; entries: AppendedEntry[] } | { outcome: 'stale' };

interface Failure {
  failed: 'full' | 'failed';
  message: string;
}

/** A mark is answered with where it is, a fork with the epoch in force, a trim with whether it is done, an unpack with whether it
 * opened the room; beat and release with true. */
export type OperationResult = AppendOperationResult | boolean | number | string | null | Failure;

export interface Batch {
  /** The store's clock when the batch was sent, milliseconds since 1970. */
  now: number;
  operations: Operation[];
}

/** To the writer; `close` finishes what was sent before it. */
export type WriterRequest = Batch | 'close';
/** Of the writer, once: it is open. `wasRestored`: its database is an older one than was here before. */
export interface WriterReady {
  opened: true;
  wasRestored: boolean;
}

/** From the writer: once when it is open (or could not open), then the answers of each batch, in its order. */
export type WriterMessage = WriterReady | Failure | OperationResult[];
