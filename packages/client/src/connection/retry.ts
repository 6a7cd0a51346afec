/** Retries: when a failed request is sent again, and when it is not. */
import type { ErrorInfo, FailedResult } from './result.ts';

const BASE_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;

/**
 * Milliseconds before the next attempt: what the server demands, else random up to a limit that doubles with each attempt, so that
 * many clients do not retry at the same time.
 */
export const retryDelayMs = (attempt: number, { retryAfterMs }: Pick<ErrorInfo, 'retryAfterMs'> = {}): number =>
  retryAfterMs ?? Math.random() * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** Math.min(attempt, 10));

/** Sends a request until it is accepted or refused for good. Undefined if it is over before. */
export async function retry<Answer extends { ok: true } | FailedResult>(
  { sleep }: { sleep: (milliseconds: number) => Promise<void> | undefined },
  /** Sends the request once. Undefined without an answer. */
  request: () => Promise<Answer | undefined>,
  /** Whether to give up: the answer has no use any more. */
  isOver: () => boolean,
  isFinal = ({ retryable }: ErrorInfo): boolean => !retryable,
): Promise<Answer | undefined> {
  for (let attempt = 0; !isOver(); attempt += 1) {
    const answer = await request();
    if (answer && (answer.ok || isFinal(answer.error))) return answer;
    if (!isOver()) await sleep(retryDelayMs(attempt, answer?.error));
  }
  return undefined;
}
