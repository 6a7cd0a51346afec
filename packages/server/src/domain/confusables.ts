/** Which texts people take for one another: the skeletons of Unicode UTS 39. */
import { CONFUSABLES } from './confusables-data.ts';
import { foldName } from './room-keys.ts';

/** Without any of these a text looks like itself alone, but for its case: the table is not asked. */
const AMBIGUOUS = /[^ -~]|[01I|%"`]|[Rr][Nn]/;
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;

/**
 * What a text is compared by: two texts are confusable when they have one of these in common. The first is the text, folded.
 * The others, where they differ from it, are how it looks as it was written, where a capital I is like an l, and how it
 * looks once it is folded. Most names have the first alone.
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
/** One command asks for the forms of one name several times. */
const recentForms = new Map<string, ComparisonForms>();
const MAX_RECENT_TEXTS = 1_000;

function computeForms(text: string): ComparisonForms {
  const folded = foldName(text);
  const skeletons = new Set([foldedSkeleton(folded)]);
  if (text !== folded) skeletons.add(foldedSkeleton(text));
  skeletons.delete(folded);
  return [folded, ...skeletons];
}

/** The skeleton, folded, since its prototypes are of either case. That of `m` is `rn`: most names need no key beside their own if it is `m`. */
const foldedSkeleton = (text: string): string => foldName(foldName(skeletonOf(text)).replaceAll('rn', 'm'));

const skeletonOf = (text: string): string => Array.from(text.replace(IGNORABLE, '').normalize('NFD'), prototypeOf).join('');

/** What is not in the table as it is may be there once it is decomposed further, as full-width letters are. */
function prototypeOf(character: string): string {
  const prototype = loadPrototypes().get(character);
  if (prototype !== undefined) return prototype;
  const decomposed = character.normalize('NFKD');
  return decomposed === character ? character : Array.from(decomposed, (each) => loadPrototypes().get(each) ?? each).join('');
}

let parsedPrototypes: Map<string, string> | undefined;

/** Read when a name needs it: many servers never meet one. */
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
