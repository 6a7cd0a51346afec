// The picture of a report, and its progress.
import { expect, test } from 'vitest';
import { progressOn } from '#report/progress.js';
import { asSvg } from '#report/svg-plot.js';

test('a picture shows every series, and infinite values at the upper end', () => {
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
      { name: 'empty', points: [] },
    ],
  });
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  expect(svg).toContain('a &lt; b');
  expect(svg).toContain('points="70,425 720,50"');
  expect(svg).toContain('one &amp; only');
  expect(svg).toContain('>other<');
  expect(svg).not.toContain('empty');
});

test('progress is one line on a terminal, and a line for each text elsewhere', () => {
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
