// When chats are due, and their timestamps.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ArrivalSchedule } from '#generator/arrival-schedule.js';
import { blankStamp, findStamp, STAMP_LENGTH, stampedDueUs, stampedRun, writeStamp } from '#generator/timestamp-marker.js';

function dueOfAll(schedule: ArrivalSchedule, nowMs: number): number[] {
  const due: number[] = [];
  schedule.take(nowMs, (dueMs) => due.push(dueMs));
  return due;
}

test('chats are due at their own times, also if they are taken late', () => {
  const pace = { perSecond: 100, phase: 0 };
  const punctual = new ArrivalSchedule(pace, 1_000);
  const due = Array.from({ length: 1_001 }, (_, ms) => dueOfAll(punctual, ms)).flat();
  expect(due).toHaveLength(100);
  expect(due.slice(0, 3)).toEqual([0, 10, 20]);
  expect(dueOfAll(new ArrivalSchedule(pace, 1_000), 5_000)).toEqual(due);
});

test('schedules that share a rate take turns', () => {
  const all = [0, 1, 2].flatMap((index) => dueOfAll(new ArrivalSchedule({ perSecond: 100, phase: index / 3 }, 1_000), 1_000));
  const sorted = all.toSorted((a, b) => a - b);
  expect(sorted).toHaveLength(300);
  for (const [index, due] of sorted.entries()) expect(due).toBeCloseTo((index / 300) * 1_000, 6);
});

test('nothing is due without a rate, or after the end', () => {
  expect(dueOfAll(new ArrivalSchedule({ perSecond: 0, phase: 0.5 }, 1_000), 1_000)).toEqual([]);
  expect(new ArrivalSchedule({ perSecond: 1, phase: 0.5 }, 100).nextMs).toBe(Number.POSITIVE_INFINITY);
});

test('a stamp has its run and its time, at any place of a text', () => {
  fc.assert(
    fc.property(
      fc.nat(99),
      fc.nat(90_000_000),
      fc.stringMatching(/^[^~]{0,50}$/),
      fc.stringMatching(/^[^~]{0,50}$/),
      (run, units, before, after) => {
        const bytes = Buffer.from(before + blankStamp() + after);
        const at = findStamp(bytes, 0, bytes.length);
        expect(at).toBe(Buffer.byteLength(before));
        writeStamp(bytes, at, { run, dueUs: units * 10 });
        expect([stampedRun(bytes, at), stampedDueUs(bytes, at)]).toEqual([run, units * 10]);
        expect(bytes.toString('utf8', at + STAMP_LENGTH)).toBe(after);
      },
    ),
  );
});

test('bytes without a complete stamp have no stamp', () => {
  expect(findStamp(Buffer.from('42["add:member:success"]'), 0, 24)).toBe(-1);
  expect(findStamp(Buffer.from('~0000000000'), 0, STAMP_LENGTH - 1)).toBe(-1);
});
