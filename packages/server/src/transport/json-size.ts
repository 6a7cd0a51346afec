interface Bounds {
  levels: number;
  /** Of numbers, texts, arrays, objects and so on, all levels together. */
  values: number;
}

/**
 * Whether a value that came as JSON nests deeper or has more values in it; looks no further than that itself. Checking a
 * value against a schema, and saying what is wrong with it, costs far more. What is binary has nothing within.
 */
export function isLargerThan({ levels, values }: Bounds, value: unknown): boolean {
  let left = values;
  function isTooLarge(inner: unknown, deeper: number): boolean {
    left -= 1;
    if (left < 0) return true;
    if (typeof inner !== 'object' || inner === null || ArrayBuffer.isView(inner)) return false;
    return deeper === 0 || Object.values(inner).some((each) => isTooLarge(each, deeper - 1));
  }
  return isTooLarge(value, levels);
}
