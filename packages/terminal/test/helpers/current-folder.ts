/** The current folder of a program under test. */
import { readdirSync } from 'node:fs';
import { expect, onTestFinished } from 'vitest';
import { createTempFolder } from '../../../server/test/helpers/server.ts';

/** An empty folder, in which the program must leave nothing. */
export function emptyWorkingFolder(): string {
  const folder = createTempFolder();
  onTestFinished(() => expect(readdirSync(folder), 'files that the program left in its current folder').toEqual([]));
  return folder;
}
