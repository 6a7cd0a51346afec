/** Checks whether a JSON value has too many levels or values. */

interface JsonLimits {
  maxLevels: number;
  /** Number of values on all levels: numbers, strings, arrays, objects and so on. */
  maxValues: number;
}

/**
 * Whether a parsed JSON value has more levels or values than allowed. Stops at the first excess: to validate a value against a
 * schema, and to report its errors, costs far more. Binary data counts as one value.
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
