import { fittingLength, type TextLimit } from '@engawa/protocol/text';

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

/** Splits a stream of text into lines, and lines into pieces that a chat takes: in memory there is never more than a chunk and a piece. */
export class Pieces {
  readonly #most: TextLimit;
  #rest = '';
  #line = 1;
  #part = 0;

  constructor(most: TextLimit) {
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
    for (let cut = fittingLength(rest, this.#most); cut < rest.length; cut = fittingLength(rest, this.#most)) {
      yield this.#piece(rest.slice(0, cut), true);
      rest = rest.slice(cut);
    }
    if (rest !== '') yield this.#piece(rest, this.#part > 0);
    this.#line += 1;
    this.#part = 0;
  }

  /** A line break or the end may follow: one character more is kept. */
  *#cutRest(): Generator<Piece> {
    for (let cut = fittingLength(this.#rest, this.#most); cut + 1 < this.#rest.length; cut = fittingLength(this.#rest, this.#most)) {
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

/** A text in pieces, line breaks and all. */
export function piecesOf(text: string, most: TextLimit): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (rest !== '') {
    const cut = fittingLength(rest, most);
    pieces.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  return pieces;
}
