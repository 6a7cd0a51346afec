// Writes a sanitized warning line to standard error.
import { sanitizeLine } from '../text/sanitize.ts';

export const warn = (stderr: NodeJS.WriteStream, text: string): void => void stderr.write(`engawa: ${sanitizeLine(text)}\n`);
