/** Converts an error to the one that the client receives. */
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

/** The error as the client receives it. Details of internal errors are only logged, with the given message. */
export function toChatError(
  error: unknown,
  { log, message, ...details }: { log: RateLimitedLog; message: string; event?: string },
): ChatError {
  if (error instanceof ChatError) return error;
  log.error({ err: error, ...details }, message);
  return new ChatError(error instanceof StoreError ? storeErrorCodes[error.reason] : 'internal');
}

/** The same for an error of one of the client's requests. */
export function toErrorPayload(error: unknown, event: string, log: RateLimitedLog): ErrorPayload {
  if (error instanceof ChatError) return error.toPayload();
  const { code } = toChatError(error, { log, event, message: 'a request failed' });
  const definition = isEventName(event) ? (events[event] as { failureMessage?: string }) : {};
  return new ChatError(code, definition.failureMessage === undefined ? {} : { message: definition.failureMessage }).toPayload();
}
