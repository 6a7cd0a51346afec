/** Detects confusable texts by the skeletons of Unicode UTS 39. */
import { CONFUSABLES } from './confusables-data.ts';
import { foldName } from './room-keys.ts';

/** A text that does not match is confusable only with itself in another case: the table is not needed. */
const AMBIGUOUS = /[^ -~]|[01I|%"`]|[Rr][Nn]/;
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;

/**
 * The forms by which a text is compared: two texts are confusable if they share a form. The first form is the folded text. The
 * others, if they differ from it, are the skeleton of the text as written, where a capital I looks like an l, and the skeleton of
 * the folded text. Most names have only the first form.
 */
export function comparisonForms(text: string): ComparisonForms {
  if (!AMBIGUOUS.test(text)) return [foldName(text)];
  const cached = recentForms.get(text);
  if (cached) return cached;
  if (recentForms.size >= MAX_RECENT_TEXTS) recentForms.clear();
  const forms = computeForms(text);
  recentForms.set(text, forms);
  return forms;
}

type ComparisonForms = readonly [folded: string, ...skeletons: string[]];
/** One command compares the same name several times. */
const recentForms = new Map<string, ComparisonForms>();
const MAX_RECENT_TEXTS = 1_000;

function computeForms(text: string): ComparisonForms {
  const folded = foldName(text);
  const skeletons = new Set([foldedSkeleton(folded)]);
  if (text !== folded) skeletons.add(foldedSkeleton(text));
  skeletons.delete(folded);
  return [folded, ...skeletons];
}

/**
 * The folded skeleton, since prototypes have either case. The skeleton of `m` is `rn`; it is mapped back to `m`, so that most
 * names with an `m` need no second key.
 */
const foldedSkeleton = (text: string): string => foldName(foldName(skeletonOf(text)).replaceAll('rn', 'm'));

const skeletonOf = (text: string): string => Array.from(text.replace(IGNORABLE, '').normalize('NFD'), prototypeOf).join('');

/** A character that is not in the table may be there in its compatibility decomposition, as full-width letters are. */
function prototypeOf(character: string): string {
  const prototype = loadPrototypes().get(character);
  if (prototype !== undefined) return prototype;
  const decomposed = character.normalize('NFKD');
  return decomposed === character ? character : Array.from(decomposed, (each) => loadPrototypes().get(each) ?? each).join('');
}

let parsedPrototypes: Map<string, string> | undefined;

/** Parsed on first use: many servers never need it. */
function loadPrototypes(): Map<string, string> {
  parsedPrototypes ??= new Map(CONFUSABLES.trim().split('\n').flatMap(parseLine));
  return parsedPrototypes;
}

function parseLine(line: string): [source: string, prototype: string][] {
  const [prototype = '', sources = ''] = line.split(': ');
  return sources.split(' ').map((source) => [parseCodePoints(source), parseCodePoints(prototype)]);
}

const parseCodePoints = (codePoints: string): string =>
  String.fromCodePoint(...codePoints.split('+').map((each) => Number.parseInt(each, 16)));
