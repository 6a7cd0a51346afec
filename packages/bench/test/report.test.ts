/** What a run leaves behind: a section of a page, and a picture. */
import { expect, test } from 'vitest';
import { progressOn } from '#report/progress.js';
import { withSection } from '#report/report.js';
import { asSvg } from '#report/svg-plot.js';

const report = { machine: { node: 'v20' }, tables: [{ title: 'Title', note: 'Note.', columns: [{ name: 'a' }], rows: [[1]] }] };
const PAGE = 'before\n<!-- bench: made by npm run bench -->\nold figures\n<!-- /bench -->\nafter\n';

test('a report takes the place of the former one, and of nothing else', () => {
  const page = withSection(PAGE, report);
  expect(page).toMatch(/^before\n<!-- bench: [\s\S]*### Title[\s\S]*<!-- \/bench -->\nafter\n$/);
  expect(page).not.toContain('old figures');
  expect(withSection(page, report)).toBe(page);
});

test('one scenario has a place of its own, and leaves the others as they are', () => {
  const both = `${PAGE}${PAGE.replace('npm run bench', 'npm run bench -- where').replace('old', 'older')}`;
  const page = withSection(both, report, 'where');
  expect(page).toContain('old figures');
  expect(page).not.toContain('older figures');
  expect(withSection(both, report)).toContain('older figures');
});

test('a page without a place for it is refused', () => {
  expect(() => withSection('no place', report)).toThrow('no place');
  expect(() => withSection(PAGE, report, 'where')).toThrow('no place');
});

test('a picture shows every server, and what never came at the upper end', () => {
  const svg = asSvg({
    title: 'a < b',
    x: { name: 'offered', least: 10, most: 1_000 },
    y: { name: 'p99', least: 1, most: 100 },
    goal: 50,
    series: [
      {
        name: 'one & only',
        points: [
          [10, 1],
          [1_000, Number.POSITIVE_INFINITY],
        ],
        isOurs: true,
      },
      { name: 'other', points: [[10, 1]] },
      { name: 'nobody', points: [] },
    ],
  });
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  expect(svg).toContain('a &lt; b');
  expect(svg).toContain('points="70,425 720,50"');
  expect(svg).toContain('one &amp; only');
  expect(svg).toContain('>other<');
  expect(svg).not.toContain('nobody');
});

test('progress is one line on a terminal, and a line each elsewhere', () => {
  const written: string[] = [];
  const write = (text: string) => written.push(text) > 0;
  for (const stream of [{ write, isTTY: true, columns: 30 }, { write }]) {
    const progress = progressOn(stream);
    progress.begin('pages');
    progress.say('something that is longer than that line');
    progress.end();
  }
  expect(written.slice(0, 3)).toEqual([
    '\r\u001b[K0:00  pages',
    `\r\u001b[K${'0:00  pages  something that is longer'.slice(0, 29)}`,
    '\r\u001b[K',
  ]);
  expect(written.slice(3)).toEqual(['0:00  pages\n', '0:00  pages  something that is longer than that line\n']);
});
