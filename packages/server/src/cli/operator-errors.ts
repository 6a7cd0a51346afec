/** Reports errors that an operator can fix in one line, and returns the exit code of a command. */
import { SettingsError } from '../config/settings.ts';
import { StoreError } from '../store/contract.ts';

/** Resolves with the exit code of a command. An error that an operator can fix is printed as one line, with exit code 1. */
export async function reportOperatorErrors(run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (!isOperatorError(error)) throw error;
    console.error(`engawa: ${error.message}`);
    return 1;
  }
}

/** Errors that the operator can fix. All others are bugs, and are printed with their stack. */
function isOperatorError(error: unknown): error is Error {
  if (error instanceof SettingsError || error instanceof StoreError) return true;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL';
}
