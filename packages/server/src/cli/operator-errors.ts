import { SettingsError } from '../config/settings.ts';
import { StoreError } from '../store/contract.ts';

/** The exit code of a command; what an operator can mend is said in one line, with code 1. */
export async function reportOperatorErrors(run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (!isOperatorError(error)) throw error;
    console.error(`engawa: ${error.message}`);
    return 1;
  }
}

/** Errors that somebody who starts a command can mend; others are bugs and show where they came from. */
function isOperatorError(error: unknown): error is Error {
  if (error instanceof SettingsError || error instanceof StoreError) return true;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL';
}
