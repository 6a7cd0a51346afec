import { expect, test } from 'vitest';
import { INKS } from '#app/author.js';
import { Names } from '#app/names.js';

const people = (count: number, from = 0): string[] => Array.from({ length: count }, (_, at) => `somebody ${from + at}`);

function namesOf(all: readonly string[]): Names {
  const names = new Names();
  for (const each of all) names.seen(each);
  return names;
}

test('of those who were seen lately no two have the same colour, and nobody gets another one', () => {
  const names = namesOf(people(5));
  const before = people(5).map((name) => names.inkOf(name));
  for (const each of people(200, 5)) {
    names.seen(each);
    names.seen('somebody 0');
  }
  expect(people(5).map((name) => names.inkOf(name))).toEqual(before);
  const all = people(1_000, 1_000);
  const rooms = namesOf(all);
  for (let at = 0; at + INKS <= all.length; at += 1) {
    const inks = all.slice(at, at + INKS).map((name) => rooms.inkOf(name));
    expect(new Set(inks).size).toBe(INKS);
  }
});

test('a colour that is free is the same in every room', () => {
  for (const name of people(50)) expect(namesOf([name]).inkOf(name)).toBe(new Names().inkOf(name));
});
