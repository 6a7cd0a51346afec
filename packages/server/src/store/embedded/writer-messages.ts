/** Messages between the main thread and the writer thread. */
import type { AppendRequest, Draft, KeyState, RoomChunk } from '../contract.ts';

/** Requests to the writer, and its results. Bodies are sent as text, as they are stored. */

type DraftRow = Omit<Draft, 'body'> & { body: string };

export type AppendOperation = Omit<AppendRequest, 'drafts'> & { do: 'append'; room: string; drafts: DraftRow[] };

/** A chunk with bodies and values as text. */
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

/**
 * The result of a mark is its new value; of a new epoch, the present epoch; of a trim, whether it is complete; of an import,
 * whether it created the room; of a heartbeat and a release, true.
 */
export type OperationResult = AppendOperationResult | boolean | number | string | null | Failure;

export interface Batch {
  /** The store's clock when the batch was sent, milliseconds since 1970. */
  now: number;
  operations: Operation[];
}

/** To the writer; `close` completes what was sent before. */
export type WriterRequest = Batch | 'close';
/** From the writer, once: it is open. `wasRestored`: the database is older than the one that was here before. */
export interface WriterReady {
  opened: true;
  wasRestored: boolean;
}

/** From the writer: once when it has opened or failed to open, then the results of each batch, in order. */
export type WriterMessage = WriterReady | Failure | OperationResult[];
