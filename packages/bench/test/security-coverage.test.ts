// docs/security-coverage.md names tests and attacks that exist, and has all groups and all attacks.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { attacks } from '#chaos/flood/attacks.js';

const GROUPS = 88;
const docs = fileURLToPath(new URL('../../../docs/', import.meta.url));
const page = readFileSync(join(docs, 'security-coverage.md'), 'utf8');

interface Row {
  group: number;
  what: string;
}

const rows: Row[] = [...page.matchAll(/^\| (\d+) \| .+ \| (.*) \|$/gm)].map(([, group, what = '']) => ({ group: Number(group), what }));

/** `[name](path) "title", "title"`. */
const testsIn = ({ what }: Row): { path: string; title: string }[] =>
  [...what.matchAll(/\]\(([^)]+)\)((?:,? "[^"]+")+)/g)].flatMap(([, path = '', titles = '']) =>
    [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => ({ path, title })),
  );

const attacksIn = ({ what }: Row): string[] =>
  [...(/Attack: (.*)$/.exec(what)?.[1] ?? '').matchAll(/`([\w-]+)`/g)].map(([, name = '']) => name);

test('each group has one row, and each row has its result', () => {
  expect(rows.map(({ group }) => group)).toEqual(Array.from({ length: GROUPS }, (_, index) => index + 1));
  const isHeld = (row: Row): boolean => testsIn(row).length > 0 || attacksIn(row).length > 0 || /By design: |Not here yet: /.test(row.what);
  expect(rows.filter((row) => !isHeld(row)).map(({ group }) => group)).toEqual([]);
});

test('every test that is named has a file, and its title is in it', () => {
  const named = rows.flatMap((row) => testsIn(row).map((each) => ({ group: row.group, ...each })));
  const isThere = ({ path, title }: { path: string; title: string }): boolean => {
    const file = join(docs, path);
    return existsSync(file) && ["'", '"', '`'].some((quote) => readFileSync(file, 'utf8').includes(quote + title + quote));
  };
  expect(named.length).toBeGreaterThan(GROUPS / 2);
  expect(named.filter((each) => !isThere(each))).toEqual([]);
});

test('the attacks of each group are those that name the group', () => {
  const known = attacks.flatMap(({ name, groups }) => groups.map((group) => `${group} ${name}`));
  const named = rows.flatMap((row) => attacksIn(row).map((name) => `${row.group} ${name}`));
  expect(named.sort()).toEqual(known.sort());
});

test('the links of the page exist', () => {
  const links = [...page.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => path);
  expect(links.filter((path) => !existsSync(join(docs, path)))).toEqual([]);
});
