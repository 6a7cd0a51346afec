// Suggests the closest known name for a mistyped one.
/** The end of a sentence, such as `; did you mean "send"?`; empty if no name is close. */
export function didYouMean(input: string, known: readonly string[]): string {
  const { name, distance } = findClosest(input, known);
  const isNear = distance <= Math.max(1, Math.floor(input.length / 3)) || name.startsWith(input);
  return isNear && input !== '' ? `; did you mean "${name}"?` : '';
}

/** The name with the smallest edit distance, however large; the first of several. */
export function findClosest(input: string, known: readonly string[]): { name: string; distance: number } {
  const ranked = known.map((name) => ({ name, distance: editDistance(input.slice(0, 64), name) }));
  return ranked.reduce((best, each) => (each.distance < best.distance ? each : best), { name: '', distance: Number.POSITIVE_INFINITY });
}

/** Counts insertions, deletions, substitutions and swaps of adjacent characters (Damerau-Levenshtein). */
function editDistance(one: string, other: string): number {
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const isSame = one[i - 1] === other[j - 1];
      const isSwapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      const choices = [Number(row[j]) + 1, Number(next[j - 1]) + 1, Number(row[j - 1]) + (isSame ? 0 : 1)];
      if (isSwapped) choices.push(Number(before[j - 2]) + 1);
      next.push(Math.min(...choices));
    }
    before = row;
    row = next;
  }
  return Number(row[other.length]);
}
