/** The retry policy of all requests: which answers are final, and how long it waits. */
import { expect, test, vi } from 'vitest';
import { retry, retryDelayMs } from '#connection/retry.js';

type Answer = { ok: true } | { ok: false; error: { code: 'busy' | 'removed'; message: string; retryable: boolean; retryAfterMs?: number } };

const busy = (retryAfterMs?: number): Answer => ({
  ok: false,
  error: { code: 'busy', message: '', retryable: true, ...(retryAfterMs !== undefined && { retryAfterMs }) },
});
const removed: Answer = { ok: false, error: { code: 'removed', message: '', retryable: false } };

interface Options {
  request?: () => Promise<Answer | undefined>;
  isOver?: () => boolean;
  isFinal?: Parameters<typeof retry>[3];
}

/** Gives these answers, one after the other. */
function startRetry(answers: (Answer | undefined)[], { request, isOver = () => false, isFinal }: Options = {}) {
  const delays: number[] = [];
  const rest = [...answers];
  const sleep = async (milliseconds: number) => void delays.push(milliseconds);
  const result = retry<Answer>({ sleep }, request ?? (async () => rest.shift()), isOver, isFinal);
  return { result, delays, rest };
}

test('a request is repeated after no answer and after a retryable error, until it is accepted', async () => {
  const { result, delays } = startRetry([undefined, busy(), { ok: true }]);
  expect(await result).toEqual({ ok: true });
  expect(delays).toHaveLength(2);
});

test('a refusal that is not retryable is final', async () => {
  const { result, delays, rest } = startRetry([removed, { ok: true }]);
  expect(await result).toBe(removed);
  expect([delays, rest]).toEqual([[], [{ ok: true }]]);
});

test('the caller decides which refusals are final', async () => {
  const { result } = startRetry([removed, busy(), { ok: true }], { isFinal: ({ code }) => code === 'busy' });
  expect(await result).toEqual(busy());
});

test('a request that is over is not repeated, and does not wait', async () => {
  let isOver = false;
  const request = async () => {
    isOver = true;
    return busy();
  };
  const { result, delays } = startRetry([], { request, isOver: () => isOver });
  expect(await result).toBeUndefined();
  expect(delays).toEqual([]);
});

test('a final answer is returned, even if the request is over by then', async () => {
  let isOver = false;
  const request = async (): Promise<Answer> => {
    isOver = true;
    return { ok: true };
  };
  const { result } = startRetry([], { request, isOver: () => isOver });
  expect(await result).toEqual({ ok: true });
});

test('a delay that the server demands is obeyed', async () => {
  const { result, delays } = startRetry([busy(7_000), { ok: true }]);
  await result;
  expect(delays).toEqual([7_000]);
});

test('without a demand the longest delay doubles up to ten seconds, and each delay is random below it', () => {
  const random = vi.spyOn(Math, 'random').mockReturnValue(1);
  expect([0, 1, 2, 5, 6, 100].map((attempt) => retryDelayMs(attempt))).toEqual([250, 500, 1_000, 8_000, 10_000, 10_000]);
  random.mockReturnValue(0.5);
  expect(retryDelayMs(0)).toBe(125);
  random.mockRestore();
});
