/** Ends the command when npm, which runs it in a shell, is told to stop. */

const POLL_INTERVAL_MS = 500;

/**
 * npm passes SIGTERM on to its shell. Some shells, dash among them, end of it and tell nobody; the command would live on
 * without its parent. It is sent the signal here instead, and ends as it always does. A shell that had ended before, since
 * it put the command into the background, is none to wait for.
 */
export function exitWithNpmShell({ npm_lifecycle_event: npmScript }: NodeJS.ProcessEnv): void {
  if (npmScript === undefined) return;
  const shell = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, POLL_INTERVAL_MS);
  timer.unref();
}
