// Tests of the line splitter, JSON lines and time arguments.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type LinePart, LineSplitter } from '#scripting/line-splitter.js';
import { toJsonLine } from '#scripting/output-formats.js';
import { parseDuration, parseSince } from '#scripting/parse-time.js';

const MOST = { codePoints: 5, bytes: 12 };
const text = fc.string({ unit: fc.constantFrom('a', '\u001b', '😀', '\n', '\r', 'é', ' ') });

test('input in any chunks yields its lines, in parts that fit one chat', () => {
  fc.assert(
    fc.property(fc.array(text), (chunks) => {
      const pieces = new LineSplitter(MOST);
      const out: LinePart[] = [...chunks.flatMap((chunk) => [...pieces.push(chunk)]), ...pieces.flush()];
      const lines: string[] = chunks
        .join('')
        .split('\n')
        .map((line) => line.replace(/\r$/, ''));
      const joined = new Map<number, string>();
      for (const { line, text: piece, part, isSplit } of out) {
        expect([...piece].length).toBeLessThanOrEqual(MOST.codePoints);
        expect(Buffer.byteLength(JSON.stringify(piece)) - 2).toBeLessThanOrEqual(MOST.bytes);
        expect(piece.isWellFormed()).toBe(true);
        expect(isSplit || part === 0).toBe(true);
        joined.set(line, (joined.get(line) ?? '') + piece);
      }
      expect(lines.map((_, at) => joined.get(at + 1) ?? '')).toEqual(lines);
    }),
  );
});

test('a JSON line parses to its value and contains only safe characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (message) => {
      const line = toJsonLine({ message });
      expect(JSON.parse(line)).toEqual({ message });
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
    }),
  );
});

test('durations and times are parsed', () => {
  expect([parseDuration('90s', '-'), parseDuration('1h30m', '-'), parseDuration('1.5', '-'), parseDuration('200ms', '-')]).toEqual([
    90_000, 5_400_000, 1_500, 200,
  ]);
  expect(() => parseDuration('soon', '--timeout')).toThrow('--timeout must be a time such as 90s, 10m or 1h30m (given: soon)');
  expect(parseSince('mark')).toEqual({ kind: 'mark' });
  expect(parseSince('42')).toEqual({ kind: 'seq', seq: 42 });
  expect(parseSince('10m')).toEqual({ kind: 'age', ms: 600_000 });
  expect(parseSince('2026-11-24T09:30:00Z')).toEqual({ kind: 'time', at: Date.UTC(2026, 10, 24, 9, 30) });
  expect(() => parseSince('yesterday')).toThrow('--since must be');
});
