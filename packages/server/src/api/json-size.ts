/** Checks whether a JSON value has too many levels or values. */

interface JsonLimits {
  maxLevels: number;
  /** Of numbers, texts, arrays, objects and so on, all levels together. */
  maxValues: number;
}

/**
 * Whether a value that came as JSON nests deeper or has more values in it; looks no further than that itself. Checking a
 * value against a schema, and saying what is wrong with it, costs far more. What is binary has nothing within.
 */
export function exceedsJsonLimits({ maxLevels, maxValues }: JsonLimits, value: unknown): boolean {
  let remaining = maxValues;
  function isTooLarge(inner: unknown, levelsLeft: number): boolean {
    remaining -= 1;
    if (remaining < 0) return true;
    if (typeof inner !== 'object' || inner === null || ArrayBuffer.isView(inner)) return false;
    return levelsLeft === 0 || Object.values(inner).some((each) => isTooLarge(each, levelsLeft - 1));
  }
  return isTooLarge(value, maxLevels);
}
