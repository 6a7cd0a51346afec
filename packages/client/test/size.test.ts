/** The size of the SDK. */
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { bundleSdk } from './helpers/bundle.ts';

/** See docs/decisions/0032. */
const BUDGET = 15_000;

test('the SDK adds at most 15 KB to socket.io-client, and neither zod nor Node', async () => {
  const code = await bundleSdk(['socket.io-client']);
  const bytes = gzipSync(code).length;
  console.log(`@engawa/client: ${bytes} bytes gzipped`);
  expect(bytes).toBeLessThanOrEqual(BUDGET);
  expect([...code.matchAll(/from\s*"([^"]+)"/g)].map(([, name]) => name)).toEqual(['socket.io-client']);
  expect(code).not.toContain('ZodError');
});
