import type { ErrorCode, EventName, ResponsePayload } from '@engawa/protocol';
import type { ConnectionErrorCode } from './connection-error.ts';

/** Why something was refused. */
export interface ErrorInfo {
  /**
   * One of the server's codes, or `closed`: the client was closed, or the room left, before there was an answer; or
   * `room_replaced`: it was written for a room that is gone, and another one has its id; or `no_random`: `connect` found no
   * random numbers; or why there can be no connection.
   */
  code: ErrorCode | 'closed' | 'room_replaced' | 'no_random' | ConnectionErrorCode;
  /** English, for people; branch on the code. */
  message: string;
  /** Whether the same may succeed later, unchanged. */
  retryable: boolean;
  /** Milliseconds after which it may. */
  retryAfter?: number;
}

export interface FailedResult {
  ok: false;
  error: ErrorInfo;
}

/** What came of a command or a question. Nothing is thrown. */
export type Result<E extends EventName> = ({ ok: true } & ResponsePayload<E>) | FailedResult;

/** Thrown by `join`, where there is no room to return, and by `connect`, with the code `no_random`, where there can be no client. */
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
