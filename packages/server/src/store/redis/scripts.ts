import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** One step that Redis does as a whole. Its file says what it takes and answers. */
export interface Script {
  source: string;
  sha: string;
}

function loadScript(name: string): Script {
  const source = readFileSync(new URL(`../../../lua/${name}.lua`, import.meta.url), 'utf8');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

export const scripts = {
  append: loadScript('append'),
  read: loadScript('read'),
  readPage: loadScript('page'),
  listKeys: loadScript('family'),
  findByIdempotencyKey: loadScript('recall'),
  advanceMark: loadScript('mark'),
  newEpoch: loadScript('fork'),
  trim: loadScript('trim'),
  importChunk: loadScript('unpack'),
  acquireLease: loadScript('hold'),
  releaseLease: loadScript('release'),
  expireLease: loadScript('set-aside'),
  heartbeat: loadScript('beat'),
  findExpiredLeases: loadScript('lapsed'),
  removeStaleHints: loadScript('strike-out'),
  isNodeGone: loadScript('gone'),
};
