/** A line on the standard error, for people. */
import { sanitizeLine } from '../text/sanitize.ts';

export const warn = (stderr: NodeJS.WriteStream, text: string): void => void stderr.write(`engawa: ${sanitizeLine(text)}\n`);
