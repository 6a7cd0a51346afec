// Generates packages/server/src/domain/confusables-data.ts from the npm package unhomoglyph (confusables of Unicode UTS #39).
// Run it by hand when the package has a new version. The package is installed into a temporary folder.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PACKAGE = 'unhomoglyph@1.0.6';
/** The Unicode version that the package's README names. */
const UNICODE = '13.0.0';
const FILE = new URL('../packages/server/src/domain/confusables-data.ts', import.meta.url);

const table = new Map(Object.entries(download()));
const prototypeOf = (text) => Array.from(text, (each) => table.get(each) ?? each).join('');
const isKana = (text) => /^[\p{scx=Hiragana}\p{scx=Katakana}]/u.test(text) && !isHan(text);
const isHan = (text) => /^\p{Script=Han}/u.test(text);

/** The characters that look like each prototype. */
const classes = new Map();
for (const [source, prototype] of table) classes.set(prototype, [...(classes.get(prototype) ?? []), source]);

const lines = [...classes]
  .map(([prototype, sources]) => [prototype, withoutMixedJapanese(prototype, sources).filter(isNeeded)])
  .filter(([, sources]) => sources.length > 0)
  .map(([prototype, sources]) => [hex(prototype), sources.map(hex).sort().join(' ')])
  .sort(([one], [other]) => (one < other ? -1 : 1))
  .map(([prototype, sources]) => `${prototype}: ${sources}`);

writeFileSync(
  FILE,
  `/**
 * What looks like what: written by scripts/confusables.js, not by hand. Each line has a prototype, then what looks like it, as
 * code points.
 *
 * The data are those of confusables.txt ${UNICODE} of Unicode UTS 39, by ${PACKAGE} (see NOTICE): version 14.0 to 15.1 have the
 * same. Left out is what canonical or compatibility decomposition gives, and what makes one of kana and Han.
 */
export const CONFUSABLES = \`
${lines.join('\n')}
\`;
`,
);

function download() {
  const folder = mkdtempSync(join(tmpdir(), 'confusables-'));
  try {
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', folder, PACKAGE], { stdio: ['ignore', 'ignore', 'inherit'] });
    return JSON.parse(readFileSync(join(folder, 'node_modules/unhomoglyph/data.json'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Similar names in kana and in Han are both legitimate: a class with both keeps only those of its prototype's script. */
function withoutMixedJapanese(prototype, sources) {
  const all = [prototype, ...sources];
  if (!all.some(isKana) || !all.some(isHan)) return sources;
  return sources.filter((source) => !(isHan(prototype) ? isKana(source) : isHan(source)));
}

/** Skeletons consist of decomposed text. A character that is not in the table is decomposed further. */
function isNeeded(source) {
  if (source !== source.normalize('NFD')) return false;
  const further = source.normalize('NFKD');
  return further === source || prototypeOf(further).normalize('NFKD') !== table.get(source).normalize('NFKD');
}

function hex(text) {
  return Array.from(text, (each) => each.codePointAt(0).toString(16).padStart(4, '0')).join('+');
}
