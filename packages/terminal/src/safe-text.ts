/** Control characters would be commands to the terminal; reordering and tag characters would make a line lie. */
const UNSAFE = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\u{e0000}-\u{e007f}]/gu;
/** More marks on one letter than any language has would run over the lines around. */
const MARKS = /(\p{M}{4})\p{M}+/gu;

/** Somebody's text as one line of plain characters. */
export const safeLine = (text: string): string =>
  text
    .toWellFormed()
    .replace(/\t/g, '  ')
    .replace(/\r?\n|\r/g, ' ⏎ ')
    .replace(UNSAFE, '\ufffd')
    .replace(MARKS, '$1');
