// Tests of author colors and known names.

import { AUTHOR_COLOR_COUNT, KnownNames } from '@engawa/chat-view';
import { expect, test } from 'vitest';

const people = (count: number, from = 0): string[] => Array.from({ length: count }, (_, at) => `member ${from + at}`);

function namesOf(all: readonly string[]): KnownNames {
  const names = new KnownNames();
  for (const each of all) names.recordActivity(each);
  return names;
}

test('recently seen names have different colors, and no name changes its color', () => {
  const names = namesOf(people(5));
  const before = people(5).map((name) => names.colorIndexOf(name));
  for (const each of people(200, 5)) {
    names.recordActivity(each);
    names.recordActivity('member 0');
  }
  expect(people(5).map((name) => names.colorIndexOf(name))).toEqual(before);
  const all = people(1_000, 1_000);
  const rooms = namesOf(all);
  for (let at = 0; at + AUTHOR_COLOR_COUNT <= all.length; at += 1) {
    const inks = all.slice(at, at + AUTHOR_COLOR_COUNT).map((name) => rooms.colorIndexOf(name));
    expect(new Set(inks).size).toBe(AUTHOR_COLOR_COUNT);
  }
});

test('a free color is the same in every room', () => {
  for (const name of people(50)) expect(namesOf([name]).colorIndexOf(name)).toBe(new KnownNames().colorIndexOf(name));
});
