/** Loads the Lua scripts. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** One atomic operation in Redis. Its file describes the arguments and the reply. */
export interface Script {
  source: string;
  sha: string;
}

function loadScript(name: string): Script {
  const source = readFileSync(new URL(`../../../src/store/redis/lua/${name}.lua`, import.meta.url), 'utf8');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

export const scripts = {
  append: loadScript('append'),
  read: loadScript('read-keys'),
  readPage: loadScript('read-page'),
  listKeys: loadScript('list-keys'),
  findByIdempotencyKey: loadScript('find-by-idempotency-key'),
  advanceMark: loadScript('advance-mark'),
  newEpoch: loadScript('new-epoch'),
  trim: loadScript('trim'),
  importChunk: loadScript('import-chunk'),
  acquireLease: loadScript('acquire-lease'),
  releaseLease: loadScript('release-lease'),
  expireLease: loadScript('expire-lease'),
  heartbeat: loadScript('heartbeat'),
  findExpiredLeases: loadScript('find-expired-leases'),
  removeStaleHints: loadScript('remove-stale-hints'),
  isNodeGone: loadScript('is-node-gone'),
};
