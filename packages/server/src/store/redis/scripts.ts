import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** One step that Redis does as a whole. Its file says what it takes and answers. */
export interface Script {
  source: string;
  sha: string;
}

function load(name: string): Script {
  const source = readFileSync(new URL(`../../../lua/${name}.lua`, import.meta.url), 'utf8');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

export const scripts = {
  append: load('append'),
  read: load('read'),
  page: load('page'),
  family: load('family'),
  recall: load('recall'),
  mark: load('mark'),
  fork: load('fork'),
  trim: load('trim'),
  unpack: load('unpack'),
  hold: load('hold'),
  release: load('release'),
  setAside: load('set-aside'),
  beat: load('beat'),
  lapsed: load('lapsed'),
  strikeOut: load('strike-out'),
  gone: load('gone'),
};
