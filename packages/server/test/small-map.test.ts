/** The map for a few entries. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SmallMap } from '#limits/small-map.js';

test('a small map behaves like a map, for any number of insertions and deletions', () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 3 }),
    value: fc.option(fc.integer(), { nil: undefined }),
    deletes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const [small, map] = [new SmallMap<number, number | undefined>(), new Map<number, number | undefined>()];
      for (const { key, value, deletes } of steps) {
        if (deletes) expect(small.delete(key)).toBe(map.delete(key));
        else {
          small.set(key, value);
          map.set(key, value);
        }
        expect([...small]).toEqual([...map]);
        expect(small.size).toBe(map.size);
        for (const asked of [0, 1, 2, 3]) expect([small.has(asked), small.get(asked)]).toEqual([map.has(asked), map.get(asked)]);
      }
    }),
  );
});
