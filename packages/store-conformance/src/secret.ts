/** Conformance tests of the secret. */
import assert from 'node:assert/strict';
import { type DefineTest, exportAll, openRoom } from './fixtures.ts';

/** Characters of 32 random bytes as base64url. */
const MIN_CHARS = 43;

export function secretTests(check: DefineTest): void {
  check('is random text that stays the same', async (store, _, openAnother) => {
    const secret = await store.secret();
    assert.ok(secret.length >= MIN_CHARS, `${secret.length} characters`);
    assert.deepEqual(await Promise.all([store.secret(), store.secret()]), [secret, secret]);
    assert.notEqual(await (await openAnother()).secret(), secret);
  });

  check('is in no export', async (store) => {
    await openRoom(store, 'den');
    const secret = await store.secret();
    assert.ok(!JSON.stringify(await exportAll(store, 'den')).includes(secret));
  });
}
