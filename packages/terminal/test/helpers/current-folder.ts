// A working directory in which the program under test must leave no files.
import { readdirSync } from 'node:fs';
import { createTempFolder } from '@engawa/testkit/processes/server';
import { expect, onTestFinished } from 'vitest';

/** An empty folder; the test fails if the program leaves a file in it. */
export function emptyWorkingFolder(): string {
  const folder = createTempFolder();
  onTestFinished(() => expect(readdirSync(folder), 'files that the program left in its current folder').toEqual([]));
  return folder;
}
