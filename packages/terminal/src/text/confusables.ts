/**
 * What is taken for what: of the confusables of Unicode UTS 39 (confusables.txt) those of Latin, Cyrillic, Greek, Armenian,
 * Cherokee, kana and digits that keyboards and copied text bring. Forms of compatibility (full width, mathematical, circled)
 * are folded by NFKC beforehand. First what they look like, then what looks like it.
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

/** Those of the names that people may take for another one of them. */
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

/** Whether text that is not Latin, or not all, looks as if it were. */
export const looksLatin = (text: string): boolean => !ASCII.test(text) && skeletons(text).some((look) => ASCII.test(look));

/** As it is written, where `I` is `l`; and in small letters, where it is `i`. */
function skeletons(name: string): [string, string] {
  const normalized = normalizeName(name);
  return [replaceConfusables(normalized).toLowerCase(), replaceConfusables(normalized.toLowerCase())];
}

/** Without what nobody sees. */
const normalizeName = (name: string): string =>
  name
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/[\s\u2800]+/g, ' ')
    .trim();

const replaceConfusables = (text: string): string => Array.from(text, (each) => prototypes.get(each) ?? each).join('');
