// Splits a stream of text into lines, and long lines into parts that fit one chat.
import { fittingLength, type TextLimit } from '@engawa/protocol/text';

/** A line, or a part of a line that is too long for one chat. */
export interface LinePart {
  /** Line number in the input, from 1. */
  line: number;
  text: string;
  /** 0 for the first part. */
  part: number;
  /** Whether the line has more than one part. */
  isSplit: boolean;
}

/** Buffers at most one chunk of input and one part. */
export class LineSplitter {
  readonly #limit: TextLimit;
  #rest = '';
  #line = 1;
  #part = 0;

  constructor(limit: TextLimit) {
    this.#limit = limit;
  }

  *push(chunk: string): Generator<LinePart> {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) yield* this.#endLine(line);
    yield* this.#emitFullParts();
  }

  /** Emits the text after the last line break. */
  *flush(): Generator<LinePart> {
    const rest = this.#rest;
    this.#rest = '';
    if (rest !== '') yield* this.#endLine(rest);
  }

  *#endLine(line: string): Generator<LinePart> {
    let rest = line.endsWith('\r') ? line.slice(0, -1) : line;
    for (let cut = fittingLength(rest, this.#limit); cut < rest.length; cut = fittingLength(rest, this.#limit)) {
      yield this.#createPart(rest.slice(0, cut), true);
      rest = rest.slice(cut);
    }
    if (rest !== '') yield this.#createPart(rest, this.#part > 0);
    this.#line += 1;
    this.#part = 0;
  }

  /** Keeps at least one character back, because a line break or the end may follow. */
  *#emitFullParts(): Generator<LinePart> {
    for (let cut = fittingLength(this.#rest, this.#limit); cut + 1 < this.#rest.length; cut = fittingLength(this.#rest, this.#limit)) {
      yield this.#createPart(this.#rest.slice(0, cut), true);
      this.#rest = this.#rest.slice(cut);
    }
  }

  #createPart(text: string, isSplit: boolean): LinePart {
    const part = this.#part;
    this.#part += 1;
    return { line: this.#line, text, part, isSplit };
  }
}

/** Splits a text into parts and keeps its line breaks. */
export function splitText(text: string, limit: TextLimit): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (rest !== '') {
    const cut = fittingLength(rest, limit);
    pieces.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  return pieces;
}
