/** Fails with a name instead of hanging. */
export async function withTimeout<Result>(promise: Promise<Result>, what: string, milliseconds = 10_000): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), milliseconds);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** Resolves when the condition holds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, milliseconds = 10_000): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A server that starts beside others on a busy machine, which is no fault. */
export const STARTED_WITHIN_MS = 30_000;
