/** Temporary folders that end with the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** It is removed at the end of the test. */
export function createTempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'engawa-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
