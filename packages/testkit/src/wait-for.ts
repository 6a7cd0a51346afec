/** Waits with a deadline, and says what it waited for. */

/** Rejects if the promise is not settled in time. */
export async function withTimeout<Result>(promise: Promise<Result>, what: string, milliseconds = 10_000): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${milliseconds} ms waiting for ${what}`)), milliseconds);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** Resolves when the condition holds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, milliseconds = 10_000): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`timed out after ${milliseconds} ms waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The time within which a process listens, also on a busy machine. */
export const STARTED_WITHIN_MS = 30_000;
