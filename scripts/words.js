// Fails on words of words.json, which has the term to use instead, in sources and docs, and on source files without a first line
// that says what they are: `node scripts/words.js`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './install.js';

/** Sources, tests, READMEs and man pages of the packages, scripts, and all docs. The chats in the pictures are everyday language. */
const CHECKED = [
  /^packages\/[^/]+\/(src|man|test)\/(?!pictures\.test\.ts).*\.(ts|js|lua|c|1)$/,
  /^packages\/[^/]+\/README\.md$/,
  /^scripts\/.*\.js$/,
  /^docs\/.*\.md$/,
  /^[^/]+\.md$/,
];
/** Begin with a comment. */
const SOURCES = /^(packages\/[^/]+\/(src|test)|scripts)\/.*\.(ts|js|lua)$/;
const FIRST_LINE = /^(\/\*\*|\/\/|--|#!)/;
/** Installed and built files. */
const SKIPPED = ['node_modules', 'dist', 'packed'];

const words = JSON.parse(readFileSync(join(root, 'scripts/words.json'), 'utf8'));
const glossary = readFileSync(join(root, 'docs/glossary.md'), 'utf8');
const terms = new Map(words.map(({ word, use, glossary: term }) => [word.toLowerCase(), use ?? term]));
/** A phrase may continue on the next line, after its indent and the mark of a comment. */
const pattern = new RegExp(`(?<![\\p{L}\\d])(${[...terms.keys()].map((word) => escaped(word)).join('|')})(?![\\p{L}\\d])`, 'giu');

const problems = [
  ...words
    .filter(({ glossary: term }) => term !== undefined && !glossary.includes(`**${term}**`))
    .map(({ glossary: term }) => `scripts/words.json: docs/glossary.md does not define "${term}"`),
  ...checkedFiles().flatMap((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    return [...findWords(path, text), ...findMissingTitle(path, text)];
  }),
];
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}

function escaped(word) {
  return word.replace(/[.]/g, '\\.').replace(/ /g, '[\\s*/#>-]+');
}

function checkedFiles() {
  return listFiles('.').filter((path) => CHECKED.some((each) => each.test(path)));
}

/** Paths below a folder, from the root, without what is installed or built. */
function listFiles(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '.' ? entry.name : `${folder}/${entry.name}`;
    if (!entry.isDirectory()) return [path];
    return SKIPPED.includes(entry.name) || entry.name.startsWith('.') ? [] : listFiles(path);
  });
}

/** The places of old words in a file, as `file:line: "word": use …`. The parts of a camel-case identifier are words. */
function findWords(path, source) {
  const text = source.replace(/(?<=\p{Ll})(?=\p{Lu})/gu, ' ');
  return [...text.matchAll(pattern)].map(({ 0: found, index }) => {
    const line = text.slice(0, index).split('\n').length;
    const word = found.replace(/[\s*/#>]+/g, ' ');
    return `${path}:${line}: "${word}": use ${terms.get(word.toLowerCase())}`;
  });
}

function findMissingTitle(path, text) {
  return SOURCES.test(path) && !FIRST_LINE.test(text) ? [`${path}:1: begin with a comment of one line that says what the file is`] : [];
}
