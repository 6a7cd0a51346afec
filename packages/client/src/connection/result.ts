/** Results of requests, and the error that join() throws. */
import type { ErrorCode, EventName, ResponsePayload } from '@engawa/protocol';
import type { ConnectionErrorCode } from './connection-error.ts';

/** Why a request failed. */
export interface ErrorInfo {
  /**
   * One of the server's codes; or `closed`: the client was closed, or the room was left, before an answer; or `room_replaced`:
   * the request was for a room that is deleted, and its id belongs to a new room; or `no_random`: `connect` found no source of
   * random bytes; or the code of a connection error.
   */
  code: ErrorCode | 'closed' | 'room_replaced' | 'no_random' | ConnectionErrorCode;
  /** English text for users. Branch on the code instead. */
  message: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** Milliseconds to wait before a retry. */
  retryAfterMs?: number;
}

export interface FailedResult {
  ok: false;
  error: ErrorInfo;
}

/** The result of a command or a query. It is returned, never thrown. */
export type Result<E extends EventName> = ({ ok: true } & ResponsePayload<E>) | FailedResult;

/**
 * Thrown by `join` when there is no room to return, and by `connect`, with the code `no_random`, when no client can be created.
 */
export class JoinError extends Error {
  override readonly name = 'JoinError';
  readonly code: ErrorInfo['code'];
  readonly retryable: boolean;

  constructor({ error: { code, message, retryable } }: FailedResult) {
    super(message);
    this.code = code;
    this.retryable = retryable;
  }
}

export const failedResult = (code: ErrorInfo['code'], message: string, retryable = false): FailedResult => ({
  ok: false,
  error: { code, message, retryable },
});

export const closedResult = (error?: ErrorInfo): FailedResult =>
  error ? { ok: false, error: error } : failedResult('closed', 'It was closed before there was an answer.', true);
