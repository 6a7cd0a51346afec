// Ends the process when the shell that npm started it in has ended.

const POLL_INTERVAL_MS = 500;

/**
 * npm sends SIGTERM to its shell. Some shells, such as dash, end without passing it on, and this process would continue as an
 * orphan. When the shell ends, this function sends SIGTERM to the process, which ends as usual. If the shell has ended before,
 * because the command was started in the background, nothing is watched.
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
