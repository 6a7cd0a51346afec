/** Which texts people take for one another: the skeletons of Unicode UTS 39. */
import { CONFUSABLES } from './confusables-data.ts';
import { foldName } from './keys.ts';

/** Without any of these a text looks like itself alone, but for its case: the table is not asked. */
const AMBIGUOUS = /[^ -~]|[01I|%"`]|[Rr][Nn]/;
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;

/**
 * What a text is compared by: two texts are confusable when they have one of these in common. The first is the text, folded.
 * The others, where they differ from it, are how it looks as it was written, where a capital I is like an l, and how it
 * looks once it is folded. Most names have the first alone.
 */
export function comparisonForms(text: string): Forms {
  if (!AMBIGUOUS.test(text)) return [foldName(text)];
  const known = recent.get(text);
  if (known) return known;
  if (recent.size >= RECENT_TEXTS) recent.clear();
  const forms = formsOf(text);
  recent.set(text, forms);
  return forms;
}

type Forms = readonly [folded: string, ...looks: string[]];
/** One command asks for the forms of one name several times. */
const recent = new Map<string, Forms>();
const RECENT_TEXTS = 1_000;

function formsOf(text: string): Forms {
  const folded = foldName(text);
  const looks = new Set([lookOf(folded)]);
  if (text !== folded) looks.add(lookOf(text));
  looks.delete(folded);
  return [folded, ...looks];
}

/** The skeleton, folded, since its prototypes are of either case. That of `m` is `rn`: most names need no key beside their own if it is `m`. */
const lookOf = (text: string): string => foldName(foldName(skeletonOf(text)).replaceAll('rn', 'm'));

const skeletonOf = (text: string): string => Array.from(text.replace(IGNORABLE, '').normalize('NFD'), prototypeOf).join('');

/** What is not in the table as it is may be there once it is decomposed further, as full-width letters are. */
function prototypeOf(character: string): string {
  const prototype = prototypes().get(character);
  if (prototype !== undefined) return prototype;
  const further = character.normalize('NFKD');
  return further === character ? character : Array.from(further, (each) => prototypes().get(each) ?? each).join('');
}

let parsed: Map<string, string> | undefined;

/** Read when a name needs it: many servers never meet one. */
function prototypes(): Map<string, string> {
  parsed ??= new Map(CONFUSABLES.trim().split('\n').flatMap(entriesOf));
  return parsed;
}

function entriesOf(line: string): [source: string, prototype: string][] {
  const [prototype = '', sources = ''] = line.split(': ');
  return sources.split(' ').map((source) => [textOf(source), textOf(prototype)]);
}

const textOf = (codePoints: string): string => String.fromCodePoint(...codePoints.split('+').map((each) => Number.parseInt(each, 16)));
