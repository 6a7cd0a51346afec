// Finds names that look like other names (Unicode UTS #39 confusables).
/**
 * A part of the confusables of Unicode UTS #39 (confusables.txt): Latin, Cyrillic, Greek, Armenian, Cherokee, kana and digits, as
 * they come from keyboards and copied text. NFKC folds compatibility forms (full width, mathematical, circled) before. Each pair
 * is a prototype and the characters that look like it.
 */
const CONFUSABLES: readonly (readonly [looks: string, alike: string])[] = [
  ['a', 'аɑα⍺'],
  ['b', 'ЬƄ'],
  ['c', 'сϲᴄ'],
  ['d', 'ԁᏧɗ'],
  ['e', 'еҽ℮'],
  ['f', 'ƒք'],
  ['g', 'ɡց'],
  ['h', 'һհᏂ'],
  ['i', 'іıɩι'],
  ['j', 'јϳ'],
  ['k', 'кκᴋ'],
  ['l', 'I1|ІΙӀӏǀ∣'],
  ['n', 'ոռ'],
  ['o', '0оοσօ'],
  ['p', 'рρ⍴'],
  ['q', 'ԛգ'],
  ['r', 'гᴦ'],
  ['s', 'ѕꜱ'],
  ['t', 'тτᴛ'],
  ['u', 'υսᴜʋ'],
  ['v', 'νѵᴠ'],
  ['w', 'ѡԝɯ'],
  ['x', 'х×'],
  ['y', 'уүɣʏγ'],
  ['z', 'ᴢ'],
  ['A', 'АΑᎪ'],
  ['B', 'ВΒᏴ'],
  ['C', 'СϹᏟ'],
  ['D', 'Ꭰ'],
  ['E', 'ЕΕᎬ'],
  ['F', 'Ϝ'],
  ['G', 'ԌᏀ'],
  ['H', 'НΗᎻ'],
  ['J', 'ЈᎫ'],
  ['K', 'КΚᏦ'],
  ['L', 'Ꮮ'],
  ['M', 'МΜϺᎷ'],
  ['N', 'Ν'],
  ['O', 'ОΟՕ'],
  ['P', 'РΡᏢ'],
  ['Q', 'Ԛ'],
  ['R', 'Ꭱ'],
  ['S', 'ЅՏᏚ'],
  ['T', 'ТΤᎢ'],
  ['U', 'Ս'],
  ['V', 'ѴᏙ'],
  ['W', 'ԜᎳ'],
  ['X', 'ХΧ'],
  ['Y', 'УҮΥ'],
  ['Z', 'ΖᏃ'],
  ['3', 'ЗзӠƷȜ'],
  ['6', 'б'],
  ['-', '‐‑‒–⁃−ー一'],
  ['.', '·․'],
  ["'", '’‘ʹʻʼ`´'],
  ['口', 'ロ'],
  ['力', 'カ'],
  ['二', 'ニ'],
  ['工', 'エ'],
  ['卜', 'ト'],
  ['夕', 'タ'],
  ['八', 'ハ'],
  ['亻', 'イ'],
  ['へ', 'ヘ'],
  ['べ', 'ベ'],
  ['ぺ', 'ペ'],
];

const prototypes = new Map(CONFUSABLES.flatMap(([prototype, alike]) => Array.from(alike, (each) => [each, prototype] as const)));
const ASCII = /^[ -~]*$/;

/** The names among these that look like another one of them. */
export function findConfusables(names: Iterable<string>): Set<string> {
  const confusable = new Set<string>();
  const firstBySkeleton = new Map<string, string>();
  for (const name of new Set(names)) {
    for (const look of skeletons(name)) {
      const other = firstBySkeleton.get(look);
      if (other === undefined) firstBySkeleton.set(look, name);
      else if (other !== name) confusable.add(name).add(other);
    }
  }
  return confusable;
}

/** Whether text with non-Latin characters looks like Latin text. */
export const looksLatin = (text: string): boolean => !ASCII.test(text) && skeletons(text).some((look) => ASCII.test(look));

/** Two skeletons: as written, where `I` looks like `l`; and in lower case, where it is `i`. */
function skeletons(name: string): [string, string] {
  const normalized = normalizeName(name);
  return [replaceConfusables(normalized).toLowerCase(), replaceConfusables(normalized.toLowerCase())];
}

/** Without invisible characters. */
const normalizeName = (name: string): string =>
  name
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/[\s\u2800]+/g, ' ')
    .trim();

const replaceConfusables = (text: string): string => Array.from(text, (each) => prototypes.get(each) ?? each).join('');
