import type { Key, KeyName } from './key.ts';

/** Bytes of one paste. */
const MOST_PASTED = 1 << 20;
/** Characters of one escape sequence of a key; of one answer of the terminal. */
const LONGEST_SEQUENCE = 64;
const LONGEST_ANSWER = 1_024;
/** Milliseconds until what looks like the begin of a sequence is taken for the key that it also is; until a paste ends unsaid. */
const SEQUENCE_MS = 40;
const PASTE_MS = 1_000;

const ESC = '\u001b';
const PASTE_END = `${ESC}[201~`;

/** Key sequences of xterm and its likes, rxvt, the Linux console and the kitty protocol. */
const CSI = /\u001b\[([<=>?]?)([\d;:]*)([ -/]*)([@-~])/y;
const CSI_BEGUN = /\u001b\[[<=>?]?[\d;:]*[ -/]*$/y;
const RXVT_SHIFTED = /\u001b\[(\d+)\$/y;
const LINUX_F = /\u001b\[\[([A-E])/y;
const SS3 = /\u001bO(\d?)([A-Za-z])/y;
const SS3_BEGUN = /\u001bO\d?$/y;
/** Answers of the terminal, which people do not type. */
const STRING = /\u001b[\]P_^X]([^\u0007\u001b\u009c]*)(?:\u0007|\u001b\\|\u009c)/y;
const STRING_BEGUN = /\u001b[\]P_^X][^\u0007\u001b\u009c]*\u001b?$/y;
const TEXT = /[^\p{Cc}]+/uy;

export interface KeysListener {
  key: (key: Key) => void;
  /** What the terminal was asked: the body of an OSC, or a control sequence from its `[` on. */
  answer: (body: string) => void;
}

/** From what a terminal sends to keys, in pieces as they come. What it does not know it drops. */
export class KeysParser {
  readonly #listener: KeysListener;
  readonly #decoder = new TextDecoder();
  #pending = '';
  /** What of a paste has come, its bytes, and whether more came than is kept. */
  #paste: { parts: string[]; bytes: number; isCut: boolean } | undefined;
  /** Inside of an answer that is too long. */
  #isSkipping = false;

  constructor(listener: KeysListener) {
    this.#listener = listener;
  }

  /** Milliseconds after which `flush` is to be called when nothing more came; undefined when nothing is waited for. */
  get patience(): number | undefined {
    if (this.#paste) return PASTE_MS;
    return this.#pending === '' && !this.#isSkipping ? undefined : SEQUENCE_MS;
  }

  push(bytes: Uint8Array): void {
    this.#pending += this.#decoder.decode(bytes, { stream: true });
    this.#parse();
  }

  /** What has not become a sequence will not: an escape is the key itself. */
  flush(): void {
    this.#isSkipping = false;
    if (this.#paste) {
      this.#takePasted(this.#pending);
      this.#pending = '';
      this.#endPaste();
    } else if (this.#pending !== '') {
      const rest = this.#pending;
      this.#pending = '';
      this.#tellBroken(rest);
    }
  }

  #parse(): void {
    for (let isMore = true; isMore && this.#pending !== ''; ) {
      if (this.#paste) isMore = this.#goOnPasting();
      else if (this.#isSkipping) isMore = this.#goOnSkipping();
      else isMore = this.#takeKeys();
    }
  }

  /** Up to where something is not complete, or of another kind. */
  #takeKeys(): boolean {
    const all = this.#pending;
    let at = 0;
    while (at < all.length && !this.#paste && !this.#isSkipping) {
      const end = this.#take(all, at);
      if (end === at) break;
      at = end;
    }
    this.#pending = all.slice(at);
    return at > 0;
  }

  /** Answers where it ends; `at` when more has to come. */
  #take(all: string, at: number): number {
    const text = matched(TEXT, all, at);
    if (text) {
      this.#listener.key({ kind: 'text', text: text[0] });
      return at + text[0].length;
    }
    if (all[at] === ESC) return this.#takeSequence(all, at, false);
    this.#tell(controlKey(all.charCodeAt(at)));
    return at + 1;
  }

  #takeSequence(all: string, at: number, alt: boolean): number {
    const next = all[at + 1];
    if (next === undefined) return at;
    if (next === ESC) return this.#takeTwoEscapes(all, at, alt);
    if (next === '[') return this.#takeCsi(all, at, alt);
    if (next === 'O') return this.#takeSs3(all, at, alt);
    if (']P_^X'.includes(next)) return this.#takeString(all, at);
    const character = String.fromCodePoint(all.codePointAt(at + 1) as number);
    this.#tell(withAlt(typedKey(character)));
    return at + 1 + character.length;
  }

  /** Alt with a key that has a sequence, in rxvt; else an escape, and whatever comes. */
  #takeTwoEscapes(all: string, at: number, alt: boolean): number {
    const after = all[at + 2];
    if (after === undefined) return at;
    if (alt || (after !== '[' && after !== 'O')) {
      this.#tell({ kind: 'key', name: 'escape' });
      return at + 1;
    }
    const end = this.#takeSequence(all, at + 1, true);
    return end === at + 1 ? at : end;
  }

  #takeCsi(all: string, at: number, alt: boolean): number {
    const linux = matched(LINUX_F, all, at);
    if (linux) {
      this.#tell({ kind: 'key', name: `f${(linux[1] as string).charCodeAt(0) - 64}` });
      return at + linux[0].length;
    }
    const found = matched(CSI, all, at);
    if (found) {
      const [whole, prefix = '', parameters = '', between = '', final = ''] = found;
      // X10 reports of a mouse: three characters more, of no use.
      if (final === 'M' && prefix === '' && parameters === '') return all.length < at + 6 ? at : at + 6;
      if (prefix === '' && parameters === '200' && final === '~') this.#paste = { parts: [], bytes: 0, isCut: false };
      else if (prefix === '?' || between !== '' || 'cnty'.includes(final)) this.#listener.answer(whole.slice(1));
      else this.#tell(prefix === '<' ? mouseKey(parameters, final) : csiKey(parameters, final, alt));
      return at + whole.length;
    }
    const shifted = matched(RXVT_SHIFTED, all, at);
    if (shifted) {
      this.#tell(csiKey(`${shifted[1]};2`, '~', alt));
      return at + shifted[0].length;
    }
    if (matched(CSI_BEGUN, all, at) || all.slice(at) === `${ESC}[[`) return all.length - at > LONGEST_SEQUENCE ? all.length : at;
    return at + brokenLength(all, at);
  }

  #takeSs3(all: string, at: number, alt: boolean): number {
    const found = matched(SS3, all, at);
    if (found) {
      this.#tell(ss3Key(found[1] as string, found[2] as string, alt));
      return at + found[0].length;
    }
    return matched(SS3_BEGUN, all, at) ? at : at + 2;
  }

  #takeString(all: string, at: number): number {
    const found = matched(STRING, all, at);
    if (found) {
      if (all[at + 1] === ']' && found[0].length <= LONGEST_ANSWER) this.#listener.answer(found[1] as string);
      return at + found[0].length;
    }
    if (!matched(STRING_BEGUN, all, at)) return at + brokenLength(all, at);
    if (all.length - at <= LONGEST_ANSWER) return at;
    this.#isSkipping = true;
    return all.length;
  }

  #goOnSkipping(): boolean {
    const end = this.#pending.search(/[\u0007\u001b\u009c]/);
    if (end >= 0) this.#isSkipping = false;
    const isTerminated = end >= 0 && this.#pending[end] !== ESC;
    this.#pending = end < 0 ? '' : this.#pending.slice(isTerminated ? end + 1 : end);
    return end >= 0;
  }

  #goOnPasting(): boolean {
    const end = this.#pending.indexOf(PASTE_END);
    // Its end may have come in part.
    const upTo = end < 0 ? this.#pending.length - (PASTE_END.length - 1) : end;
    if (upTo > 0) this.#takePasted(this.#pending.slice(0, upTo));
    this.#pending = this.#pending.slice(end < 0 ? Math.max(0, upTo) : end + PASTE_END.length);
    if (end >= 0) this.#endPaste();
    return end >= 0;
  }

  #takePasted(text: string): void {
    const paste = this.#paste;
    if (!paste || text === '') return;
    const bytes = Buffer.byteLength(text);
    if (paste.isCut || paste.bytes + bytes > MOST_PASTED) {
      const room = paste.isCut ? 0 : MOST_PASTED - paste.bytes;
      paste.isCut = true;
      // A code unit has three bytes at most.
      if (room > 0) paste.parts.push(text.slice(0, Math.floor(room / 3)));
    } else paste.parts.push(text);
    paste.bytes += bytes;
  }

  #endPaste(): void {
    const { parts, isCut } = this.#paste ?? { parts: [], isCut: false };
    this.#paste = undefined;
    const text = parts.join('').replace(/\r\n?/g, '\n').toWellFormed();
    if (text !== '') this.#listener.key({ kind: 'paste', text, ...(isCut && { isCut }) });
  }

  /** A sequence that goes on no more: the keys that send its begin, or nothing anybody knows. */
  #tellBroken(rest: string): void {
    const end = rest.startsWith(ESC + ESC) ? 1 : rest.length;
    if (rest === ESC || end === 1) this.#tell({ kind: 'key', name: 'escape' });
    else if (rest.length === 2) this.#tell(withAlt(typedKey(rest[1] as string)));
    if (end < rest.length) this.#tellBroken(rest.slice(end));
  }

  #tell(key: Key | undefined): void {
    if (key) this.#listener.key(key);
  }
}

function matched(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Up to what cannot belong to it, which is a key of its own. */
function brokenLength(all: string, at: number): number {
  const end = all.slice(at + 1, at + 1 + LONGEST_SEQUENCE).search(/[^ -~]/);
  return 1 + (end < 0 ? Math.min(LONGEST_SEQUENCE, all.length - at - 1) : end);
}

type Held = { ctrl?: boolean; alt?: boolean; shift?: boolean };
type PressedKey = Extract<Key, { kind: 'key' }>;

const pressed = (name: PressedKey['name'], { ctrl, alt, shift }: Held = {}): PressedKey => ({
  kind: 'key',
  name,
  ...(ctrl && { ctrl }),
  ...(alt && { alt }),
  ...(shift && { shift }),
});

const withAlt = (key: PressedKey): PressedKey => ({ ...key, alt: true });

/** A character that is not text by itself. */
function typedKey(character: string): PressedKey {
  const code = character.codePointAt(0) as number;
  if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return controlKey(code) ?? pressed('escape');
  const letter = character.toLowerCase();
  return pressed(letter, { shift: letter !== character });
}

function controlKey(code: number): PressedKey | undefined {
  if (code === 0x0d) return pressed('enter');
  if (code === 0x09) return pressed('tab');
  if (code === 0x7f) return pressed('backspace');
  if (code === 0x1b) return pressed('escape');
  if (code === 0) return pressed('space', { ctrl: true });
  // The rest of C1 comes from no keyboard.
  return code > 0x1f ? undefined : pressed(String.fromCharCode(code + 0x40).toLowerCase(), { ctrl: true });
}

const BY_LETTER: Record<string, KeyName> = {
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

const BY_NUMBER: Record<string, KeyName> = {
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

/** The parameter of modifiers: one more than shift, alt and ctrl together. */
const heldOf = (parameter: string | undefined): Held => {
  const bits = Number(parameter || 1) - 1;
  return { shift: (bits & 1) !== 0, alt: (bits & 2) !== 0, ctrl: (bits & 4) !== 0 };
};

function csiKey(parameters: string, final: string, alt: boolean): Key | undefined {
  const [first = '', second = '', third = ''] = parameters.split(';');
  const [modifiers, event] = second.split(':');
  const held = { ...heldOf(modifiers), ...(alt && { alt }) };
  // Let go; or held with a key of the window system.
  if (event === '3' || ((Number(modifiers || 1) - 1) & 0b111000) !== 0) return undefined;
  if (final === 'u') return codeKey(first, held, third);
  if (final === '~' && first === '27') return codeKey(third, held, '');
  if (final === 'I' || final === 'O') return { kind: 'focus', focused: final === 'I' };
  if (final === 'Z') return pressed('tab', { ...held, shift: true });
  // The shifted arrows of rxvt, and what it does to the others.
  if ('abcd'.includes(final)) return pressed(BY_LETTER[final.toUpperCase()] as KeyName, { ...held, shift: true });
  const name = '~^@'.includes(final) ? own(BY_NUMBER, first) : own(BY_LETTER, final);
  if (final === '^' || final === '@') Object.assign(held, { ctrl: true, shift: final === '@' });
  return name && pressed(name, held);
}

const own = (names: Record<string, KeyName>, key: string): KeyName | undefined => (Object.hasOwn(names, key) ? names[key] : undefined);

/** A key by its code point: of the kitty protocol, and of xterm's modifyOtherKeys. */
function codeKey(codes: string, held: Held, text: string): Key | undefined {
  const [code, shifted] = codes.split(':').map(Number);
  if (!code || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
  // Keys that have no character stand among the private ones.
  if (code >= 57_344 && code <= 63_743) return keypadKey(code, held);
  const key = typedKey(String.fromCodePoint(code));
  const isCharacter = code >= 0x20 && code !== 0x7f && !(code >= 0x80 && code < 0xa0);
  if (!isCharacter) return pressed(key.name, { ...held, ctrl: held.ctrl === true || (key.ctrl === true && code !== 0x7f) });
  if (held.ctrl || held.alt) return pressed(key.name === ' ' ? 'space' : key.name, { ...held, shift: held.shift === true });
  const typed = text !== '' ? textOf(text) : String.fromCodePoint(held.shift && isScalar(shifted) ? shifted : code);
  return typed === '' ? undefined : { kind: 'text', text: typed };
}

const KEYPAD_TEXT = '0123456789./*-+';
const KEYPAD_KEYS: KeyName[] = ['left', 'right', 'up', 'down', 'pageup', 'pagedown', 'home', 'end', 'insert', 'delete'];

function keypadKey(code: number, held: Held): Key | undefined {
  const text = KEYPAD_TEXT[code - 57_399];
  if (text !== undefined) return { kind: 'text', text };
  if (code === 57_414) return pressed('enter', held);
  const name = KEYPAD_KEYS[code - 57_417];
  return name && pressed(name, held);
}

const isScalar = (code: number | undefined): code is number =>
  code !== undefined && code >= 0x20 && code <= 0x10ffff && !(code >= 0x7f && code < 0xa0) && !(code >= 0xd800 && code < 0xe000);

const textOf = (codes: string): string => String.fromCodePoint(...codes.split(':').map(Number).filter(isScalar));

function ss3Key(modifier: string, letter: string, alt: boolean): Key | undefined {
  const held = { ...heldOf(modifier), ...(alt && { alt }) };
  const name = own(BY_LETTER, letter);
  if (name) return pressed(name, held);
  if ('abcd'.includes(letter)) return pressed(BY_LETTER[letter.toUpperCase()] as KeyName, { ...held, ctrl: true });
  if (letter === 'M') return pressed('enter', held);
  if (letter === 'I') return pressed('tab', held);
  const keypad = '*+,-./0123456789'['jklmnopqrstuvwxy'.indexOf(letter)];
  return keypad === undefined ? undefined : { kind: 'text', text: keypad };
}

/** SGR reports; of the buttons only the first, and no movements. */
function mouseKey(parameters: string, final: string): Key | undefined {
  const [code = '', column, row] = parameters.split(';');
  const at = { column: Number(column) - 1, row: Number(row) - 1 };
  if (code === '' || !(at.column >= 0) || !(at.row >= 0)) return undefined;
  // Without what is held meanwhile.
  const button = Number(code) & ~0b11100;
  if (button === 64) return { kind: 'mouse', action: 'wheel-up', at };
  if (button === 65) return { kind: 'mouse', action: 'wheel-down', at };
  if (button !== 0) return undefined;
  return { kind: 'mouse', action: final === 'm' ? 'release' : 'press', at };
}
