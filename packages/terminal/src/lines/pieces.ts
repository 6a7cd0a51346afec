/** A line, or a part of one that is too long to be whole. */
export interface Piece {
  /** Of the input, from 1. */
  line: number;
  text: string;
  /** 0 for the first. */
  part: number;
  /** There are more parts of this line than one. */
  isLong: boolean;
}

/** Splits a stream of text into lines, and lines into pieces of so many code points: in memory there is never more than a chunk and a piece. */
export class Pieces {
  readonly #most: number;
  #rest = '';
  #line = 1;
  #part = 0;

  constructor(most: number) {
    this.#most = most;
  }

  *take(chunk: string): Generator<Piece> {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) yield* this.#end(line);
    yield* this.#cutRest();
  }

  /** What follows the last line break. */
  *end(): Generator<Piece> {
    const rest = this.#rest;
    this.#rest = '';
    if (rest !== '') yield* this.#end(rest);
  }

  *#end(line: string): Generator<Piece> {
    let rest = line.endsWith('\r') ? line.slice(0, -1) : line;
    for (let cut = placeAfter(rest, this.#most); cut < rest.length; cut = placeAfter(rest, this.#most)) {
      yield this.#piece(rest.slice(0, cut), true);
      rest = rest.slice(cut);
    }
    if (rest !== '') yield this.#piece(rest, this.#part > 0);
    this.#line += 1;
    this.#part = 0;
  }

  /** A line break or the end may follow: one character more is kept. */
  *#cutRest(): Generator<Piece> {
    for (let cut = placeAfter(this.#rest, this.#most); cut + 1 < this.#rest.length; cut = placeAfter(this.#rest, this.#most)) {
      yield this.#piece(this.#rest.slice(0, cut), true);
      this.#rest = this.#rest.slice(cut);
    }
  }

  #piece(text: string, isLong: boolean): Piece {
    const part = this.#part;
    this.#part += 1;
    return { line: this.#line, text, part, isLong };
  }
}

/** The index after so many code points, or the length. */
function placeAfter(text: string, codePoints: number): number {
  if (text.length <= codePoints) return text.length;
  let index = 0;
  for (let count = 0; count < codePoints && index < text.length; count += 1) index += (text.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
  return index;
}

/** A text in pieces, line breaks and all. */
export function piecesOf(text: string, most: number): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (rest !== '') {
    const cut = placeAfter(rest, most);
    pieces.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  return pieces;
}
