/** Converts an error to the payload that the client receives. */
import { ChatError, type ErrorCode, type ErrorPayload, events, isEventName } from '@engawa/protocol';
import type { RateLimitedLog } from '../logging/rate-limited-log.ts';
import { StoreError } from '../store/contract.ts';

const storeErrorCodes: Record<StoreError['reason'], ErrorCode> = {
  full: 'storage_full',
  failed: 'storage_failed',
  busy: 'busy',
  outcome_unknown: 'outcome_unknown',
  closed: 'busy',
};

/** What the client is told. What went wrong inside stays in the log. */
export function toErrorPayload(error: unknown, event: string, log: RateLimitedLog): ErrorPayload {
  if (error instanceof ChatError) return error.toPayload();
  log.error({ err: error, event }, 'a request failed');
  const code = error instanceof StoreError ? storeErrorCodes[error.reason] : 'internal';
  const definition = isEventName(event) ? (events[event] as { failureMessage?: string }) : {};
  return new ChatError(code, definition.failureMessage === undefined ? {} : { message: definition.failureMessage }).toPayload();
}
