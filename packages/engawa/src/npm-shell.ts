/** Ends the command when npm, which runs it in a shell, is told to stop. */

const LOOK_EVERY_MS = 500;

/**
 * npm passes SIGTERM on to its shell. Some shells, dash among them, end of it and tell nobody; the command would live on
 * without its parent. It is sent the signal here instead, and ends as it always does. A shell that had ended before, since
 * it put the command into the background, is none to wait for.
 */
export function endWithShellOfNpm({ npm_lifecycle_event: byNpm }: NodeJS.ProcessEnv): void {
  if (byNpm === undefined) return;
  const shell = process.ppid;
  const looking = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(looking);
    process.kill(process.pid, 'SIGTERM');
  }, LOOK_EVERY_MS);
  looking.unref();
}
