/** Limits of texts in code points and bytes. */
import { fitsLimit, fittingLength } from '@engawa/protocol/text';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const unit = fc.oneof(
  fc.constantFrom('a', '"', '\\', '\n', '\u0001', '\u007f', 'é', '部', '\u2028', '😀'),
  fc.string({ maxLength: 1, unit: 'binary' }),
);
const text = fc.array(unit, { maxLength: 200 }).map((units) => units.join('').toWellFormed());
const limit = fc.record({ codePoints: fc.nat(200), bytes: fc.nat(800) });

const jsonBytes = (value: string): number => Buffer.byteLength(JSON.stringify(value)) - 2;

test('the fitting part of a text is the longest within the code points, and the bytes as JSON', () => {
  fc.assert(
    fc.property(text, limit, (value, { codePoints, bytes }) => {
      const end = fittingLength(value, { codePoints, bytes });
      const fitting = value.slice(0, end);
      const [next = ''] = value.slice(end);
      expect([...fitting].length).toBeLessThanOrEqual(codePoints);
      expect(jsonBytes(fitting)).toBeLessThanOrEqual(bytes);
      expect(fitting.isWellFormed()).toBe(true);
      expect(next === '' || [...fitting].length === codePoints || jsonBytes(fitting + next) > bytes).toBe(true);
      expect(fitsLimit(value, { codePoints, bytes })).toBe(end === value.length);
    }),
  );
});
