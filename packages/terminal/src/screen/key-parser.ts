// Parses the bytes of a terminal into key, paste, mouse and focus events.
import type { InputEvent, KeyName } from './key.ts';

const MAX_PASTE_BYTES = 1 << 20;
/** Characters of the sequence of a key, and of a reply of the terminal. */
const MAX_SEQUENCE_LENGTH = 64;
const MAX_REPLY_LENGTH = 1_024;
/** After this time an incomplete sequence counts as the Escape key; and a paste without an end mark ends. */
const SEQUENCE_TIMEOUT_MS = 40;
const PASTE_TIMEOUT_MS = 1_000;

const ESC = '\u001b';
const PASTE_END = `${ESC}[201~`;

/** Key sequences of xterm and compatible terminals, rxvt, the Linux console and the kitty protocol. */
const CSI = /\u001b\[([<=>?]?)([\d;:]*)([ -/]*)([@-~])/y;
const PARTIAL_CSI = /\u001b\[[<=>?]?[\d;:]*[ -/]*$/y;
const RXVT_SHIFTED = /\u001b\[(\d+)\$/y;
const LINUX_F = /\u001b\[\[([A-E])/y;
const SS3 = /\u001bO(\d?)([A-Za-z])/y;
const PARTIAL_SS3 = /\u001bO\d?$/y;
/** Replies of the terminal, which are not keys. */
const STRING_REPLY = /\u001b[\]P_^X]([^\u0007\u001b\u009c]*)(?:\u0007|\u001b\\|\u009c)/y;
const PARTIAL_STRING_REPLY = /\u001b[\]P_^X][^\u0007\u001b\u009c]*\u001b?$/y;
const TEXT = /[^\p{Cc}]+/uy;

export interface KeyParserListener {
  onInput: (key: InputEvent) => void;
  /** A reply to a query: the body of an OSC, or a control sequence from its `[` on. */
  onReply: (body: string) => void;
}

/** Parses the input of a terminal in chunks of any size. Unknown sequences are dropped. */
export class KeyParser {
  readonly #listener: KeyParserListener;
  readonly #decoder = new TextDecoder();
  #pending = '';
  /** The paste so far, its bytes, and whether a part of it was dropped. */
  #paste: { parts: string[]; bytes: number; isTruncated: boolean } | undefined;
  /** Inside a reply that is too long. */
  #isSkippingReply = false;

  constructor(listener: KeyParserListener) {
    this.#listener = listener;
  }

  /** Milliseconds after which to call `flush` if no input arrives; undefined if nothing is pending. */
  get flushDelayMs(): number | undefined {
    if (this.#paste) return PASTE_TIMEOUT_MS;
    return this.#pending === '' && !this.#isSkippingReply ? undefined : SEQUENCE_TIMEOUT_MS;
  }

  push(bytes: Uint8Array): void {
    this.#pending += this.#decoder.decode(bytes, { stream: true });
    this.#parse();
  }

  /** Treats incomplete input as final: an escape becomes the Escape key. */
  flush(): void {
    this.#isSkippingReply = false;
    if (this.#paste) {
      this.#appendPaste(this.#pending);
      this.#pending = '';
      this.#endPaste();
    } else if (this.#pending !== '') {
      const rest = this.#pending;
      this.#pending = '';
      this.#emitIncomplete(rest);
    }
  }

  #parse(): void {
    for (let isMore = true; isMore && this.#pending !== ''; ) {
      if (this.#paste) isMore = this.#continuePaste();
      else if (this.#isSkippingReply) isMore = this.#skipReply();
      else isMore = this.#parseKeys();
    }
  }

  /** Parses until the input is incomplete or of another kind. */
  #parseKeys(): boolean {
    const all = this.#pending;
    let at = 0;
    while (at < all.length && !this.#paste && !this.#isSkippingReply) {
      const end = this.#parseOne(all, at);
      if (end === at) break;
      at = end;
    }
    this.#pending = all.slice(at);
    return at > 0;
  }

  /** Returns the end of the parsed part; `at` if more input is needed. */
  #parseOne(all: string, at: number): number {
    const text = matchAt(TEXT, all, at);
    if (text) {
      this.#listener.onInput({ kind: 'text', text: text[0] });
      return at + text[0].length;
    }
    if (all[at] === ESC) return this.#parseSequence(all, at, false);
    this.#emit(controlKey(all.charCodeAt(at)));
    return at + 1;
  }

  #parseSequence(all: string, at: number, alt: boolean): number {
    const next = all[at + 1];
    if (next === undefined) return at;
    if (next === ESC) return this.#parseTwoEscapes(all, at, alt);
    if (next === '[') return this.#parseCsi(all, at, alt);
    if (next === 'O') return this.#parseSs3(all, at, alt);
    if (']P_^X'.includes(next)) return this.#parseStringReply(all, at);
    const character = String.fromCodePoint(all.codePointAt(at + 1) as number);
    this.#emit(withAlt(characterKey(character)));
    return at + 1 + character.length;
  }

  /** In rxvt, Alt with a key that has a sequence; otherwise Escape, and then another key. */
  #parseTwoEscapes(all: string, at: number, alt: boolean): number {
    const after = all[at + 2];
    if (after === undefined) return at;
    if (alt || (after !== '[' && after !== 'O')) {
      this.#emit({ kind: 'key', name: 'escape' });
      return at + 1;
    }
    const end = this.#parseSequence(all, at + 1, true);
    return end === at + 1 ? at : end;
  }

  #parseCsi(all: string, at: number, alt: boolean): number {
    const linux = matchAt(LINUX_F, all, at);
    if (linux) {
      this.#emit({ kind: 'key', name: `f${(linux[1] as string).charCodeAt(0) - 64}` });
      return at + linux[0].length;
    }
    const found = matchAt(CSI, all, at);
    if (found) {
      const [whole, prefix = '', parameters = '', between = '', final = ''] = found;
      // X10 mouse reports: three more bytes, ignored.
      if (final === 'M' && prefix === '' && parameters === '') return all.length < at + 6 ? at : at + 6;
      if (prefix === '' && parameters === '200' && final === '~') this.#paste = { parts: [], bytes: 0, isTruncated: false };
      else if (prefix === '?' || between !== '' || 'cnty'.includes(final)) this.#listener.onReply(whole.slice(1));
      else this.#emit(prefix === '<' ? mouseKey(parameters, final) : csiKey(parameters, final, alt));
      return at + whole.length;
    }
    const shifted = matchAt(RXVT_SHIFTED, all, at);
    if (shifted) {
      this.#emit(csiKey(`${shifted[1]};2`, '~', alt));
      return at + shifted[0].length;
    }
    if (matchAt(PARTIAL_CSI, all, at) || all.slice(at) === `${ESC}[[`) return all.length - at > MAX_SEQUENCE_LENGTH ? all.length : at;
    return at + invalidSequenceLength(all, at);
  }

  #parseSs3(all: string, at: number, alt: boolean): number {
    const found = matchAt(SS3, all, at);
    if (found) {
      this.#emit(ss3Key(found[1] as string, found[2] as string, alt));
      return at + found[0].length;
    }
    return matchAt(PARTIAL_SS3, all, at) ? at : at + 2;
  }

  #parseStringReply(all: string, at: number): number {
    const found = matchAt(STRING_REPLY, all, at);
    if (found) {
      if (all[at + 1] === ']' && found[0].length <= MAX_REPLY_LENGTH) this.#listener.onReply(found[1] as string);
      return at + found[0].length;
    }
    if (!matchAt(PARTIAL_STRING_REPLY, all, at)) return at + invalidSequenceLength(all, at);
    if (all.length - at <= MAX_REPLY_LENGTH) return at;
    this.#isSkippingReply = true;
    return all.length;
  }

  #skipReply(): boolean {
    const end = this.#pending.search(/[\u0007\u001b\u009c]/);
    if (end >= 0) this.#isSkippingReply = false;
    const isTerminated = end >= 0 && this.#pending[end] !== ESC;
    this.#pending = end < 0 ? '' : this.#pending.slice(isTerminated ? end + 1 : end);
    return end >= 0;
  }

  #continuePaste(): boolean {
    const end = this.#pending.indexOf(PASTE_END);
    // The end mark may have arrived in part.
    const upTo = end < 0 ? this.#pending.length - (PASTE_END.length - 1) : end;
    if (upTo > 0) this.#appendPaste(this.#pending.slice(0, upTo));
    this.#pending = this.#pending.slice(end < 0 ? Math.max(0, upTo) : end + PASTE_END.length);
    if (end >= 0) this.#endPaste();
    return end >= 0;
  }

  #appendPaste(text: string): void {
    const paste = this.#paste;
    if (!paste || text === '') return;
    const bytes = Buffer.byteLength(text);
    if (paste.isTruncated || paste.bytes + bytes > MAX_PASTE_BYTES) {
      const remainingBytes = paste.isTruncated ? 0 : MAX_PASTE_BYTES - paste.bytes;
      paste.isTruncated = true;
      // A code unit has at most three bytes in UTF-8.
      if (remainingBytes > 0) paste.parts.push(text.slice(0, Math.floor(remainingBytes / 3)));
    } else paste.parts.push(text);
    paste.bytes += bytes;
  }

  #endPaste(): void {
    const { parts, isTruncated } = this.#paste ?? { parts: [], isTruncated: false };
    this.#paste = undefined;
    const text = parts.join('').replace(/\r\n?/g, '\n').toWellFormed();
    if (text !== '') this.#listener.onInput({ kind: 'paste', text, ...(isTruncated && { isTruncated }) });
  }

  /** A sequence that ended early: either the keys that send its beginning, or an unknown sequence. */
  #emitIncomplete(rest: string): void {
    const end = rest.startsWith(ESC + ESC) ? 1 : rest.length;
    if (rest === ESC || end === 1) this.#emit({ kind: 'key', name: 'escape' });
    else if (rest.length === 2) this.#emit(withAlt(characterKey(rest[1] as string)));
    if (end < rest.length) this.#emitIncomplete(rest.slice(end));
  }

  #emit(key: InputEvent | undefined): void {
    if (key) this.#listener.onInput(key);
  }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Length up to the first character that cannot belong to the sequence; that character is a new key. */
function invalidSequenceLength(all: string, at: number): number {
  const end = all.slice(at + 1, at + 1 + MAX_SEQUENCE_LENGTH).search(/[^ -~]/);
  return 1 + (end < 0 ? Math.min(MAX_SEQUENCE_LENGTH, all.length - at - 1) : end);
}

type Modifiers = { ctrl?: boolean; alt?: boolean; shift?: boolean };
type KeyPress = Extract<InputEvent, { kind: 'key' }>;

const keyPress = (name: KeyPress['name'], { ctrl, alt, shift }: Modifiers = {}): KeyPress => ({
  kind: 'key',
  name,
  ...(ctrl && { ctrl }),
  ...(alt && { alt }),
  ...(shift && { shift }),
});

const withAlt = (key: KeyPress): KeyPress => ({ ...key, alt: true });

/** The key of a control character. */
function characterKey(character: string): KeyPress {
  const code = character.codePointAt(0) as number;
  if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return controlKey(code) ?? keyPress('escape');
  const letter = character.toLowerCase();
  return keyPress(letter, { shift: letter !== character });
}

function controlKey(code: number): KeyPress | undefined {
  if (code === 0x0d) return keyPress('enter');
  if (code === 0x09) return keyPress('tab');
  if (code === 0x7f) return keyPress('backspace');
  if (code === 0x1b) return keyPress('escape');
  if (code === 0) return keyPress('space', { ctrl: true });
  // No keyboard sends the rest of C1.
  return code > 0x1f ? undefined : keyPress(String.fromCharCode(code + 0x40).toLowerCase(), { ctrl: true });
}

const KEYS_BY_LETTER: Record<string, KeyName> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  H: 'home',
  F: 'end',
  P: 'f1',
  Q: 'f2',
  R: 'f3',
  S: 'f4',
};

const KEYS_BY_NUMBER: Record<string, KeyName> = {
  1: 'home',
  2: 'insert',
  3: 'delete',
  4: 'end',
  5: 'pageup',
  6: 'pagedown',
  7: 'home',
  8: 'end',
  ...Object.fromEntries([11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 23, 24].map((code, at) => [code, `f${at + 1}` as KeyName])),
};

/** The modifier parameter is one more than the bits of shift, alt and ctrl. */
const parseModifiers = (parameter: string | undefined): Modifiers => {
  const bits = Number(parameter || 1) - 1;
  return { shift: (bits & 1) !== 0, alt: (bits & 2) !== 0, ctrl: (bits & 4) !== 0 };
};

function csiKey(parameters: string, final: string, alt: boolean): InputEvent | undefined {
  const [first = '', second = '', third = ''] = parameters.split(';');
  const [modifierParameter, event] = second.split(':');
  const modifiers = { ...parseModifiers(modifierParameter), ...(alt && { alt }) };
  // Key release, or a modifier of the window system is held.
  if (event === '3' || ((Number(modifierParameter || 1) - 1) & 0b111000) !== 0) return undefined;
  if (final === 'u') return codeKey(first, modifiers, third);
  if (final === '~' && first === '27') return codeKey(third, modifiers, '');
  if (final === 'I' || final === 'O') return { kind: 'focus', isFocused: final === 'I' };
  if (final === 'Z') return keyPress('tab', { ...modifiers, shift: true });
  // Shifted arrow keys of rxvt, and its variants of the other keys.
  if ('abcd'.includes(final)) return keyPress(KEYS_BY_LETTER[final.toUpperCase()] as KeyName, { ...modifiers, shift: true });
  const name = '~^@'.includes(final) ? lookUp(KEYS_BY_NUMBER, first) : lookUp(KEYS_BY_LETTER, final);
  if (final === '^' || final === '@') Object.assign(modifiers, { ctrl: true, shift: final === '@' });
  return name && keyPress(name, modifiers);
}

const lookUp = (names: Record<string, KeyName>, key: string): KeyName | undefined => (Object.hasOwn(names, key) ? names[key] : undefined);

/** A key by its code point: kitty protocol and modifyOtherKeys of xterm. */
function codeKey(codes: string, modifiers: Modifiers, text: string): InputEvent | undefined {
  const [code, shifted] = codes.split(':').map(Number);
  if (!code || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
  // Keys without a character have private-use code points.
  if (code >= 57_344 && code <= 63_743) return keypadKey(code, modifiers);
  const key = characterKey(String.fromCodePoint(code));
  const isCharacter = code >= 0x20 && code !== 0x7f && !(code >= 0x80 && code < 0xa0);
  if (!isCharacter) return keyPress(key.name, { ...modifiers, ctrl: modifiers.ctrl === true || (key.ctrl === true && code !== 0x7f) });
  if (modifiers.ctrl || modifiers.alt)
    return keyPress(key.name === ' ' ? 'space' : key.name, { ...modifiers, shift: modifiers.shift === true });
  const typed = text !== '' ? textOf(text) : String.fromCodePoint(modifiers.shift && isScalar(shifted) ? shifted : code);
  return typed === '' ? undefined : { kind: 'text', text: typed };
}

const KEYPAD_TEXT = '0123456789./*-+';
const KEYPAD_KEYS: KeyName[] = ['left', 'right', 'up', 'down', 'pageup', 'pagedown', 'home', 'end', 'insert', 'delete'];

function keypadKey(code: number, modifiers: Modifiers): InputEvent | undefined {
  const text = KEYPAD_TEXT[code - 57_399];
  if (text !== undefined) return { kind: 'text', text };
  if (code === 57_414) return keyPress('enter', modifiers);
  const name = KEYPAD_KEYS[code - 57_417];
  return name && keyPress(name, modifiers);
}

const isScalar = (code: number | undefined): code is number =>
  code !== undefined && code >= 0x20 && code <= 0x10ffff && !(code >= 0x7f && code < 0xa0) && !(code >= 0xd800 && code < 0xe000);

const textOf = (codes: string): string => String.fromCodePoint(...codes.split(':').map(Number).filter(isScalar));

function ss3Key(modifier: string, letter: string, alt: boolean): InputEvent | undefined {
  const modifiers = { ...parseModifiers(modifier), ...(alt && { alt }) };
  const name = lookUp(KEYS_BY_LETTER, letter);
  if (name) return keyPress(name, modifiers);
  if ('abcd'.includes(letter)) return keyPress(KEYS_BY_LETTER[letter.toUpperCase()] as KeyName, { ...modifiers, ctrl: true });
  if (letter === 'M') return keyPress('enter', modifiers);
  if (letter === 'I') return keyPress('tab', modifiers);
  const keypad = '*+,-./0123456789'['jklmnopqrstuvwxy'.indexOf(letter)];
  return keypad === undefined ? undefined : { kind: 'text', text: keypad };
}

/** SGR mouse reports. Only the first button counts; movements are ignored. */
function mouseKey(parameters: string, final: string): InputEvent | undefined {
  const [code = '', column, row] = parameters.split(';');
  const position = { column: Number(column) - 1, row: Number(row) - 1 };
  if (code === '' || !(position.column >= 0) || !(position.row >= 0)) return undefined;
  // Ignore modifiers.
  const button = Number(code) & ~0b11100;
  if (button === 64) return { kind: 'mouse', action: 'wheel-up', position };
  if (button === 65) return { kind: 'mouse', action: 'wheel-down', position };
  if (button !== 0) return undefined;
  return { kind: 'mouse', action: final === 'm' ? 'release' : 'press', position };
}
