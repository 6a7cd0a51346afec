import type { Ground, Ink, Span } from '../text/span.ts';

type Background = 'dark' | 'light';
/** How something looks: what a span says beside its text. */
type Look = Omit<Span, 'text' | 'link'>;

export interface Theme {
  /** The parameters of SGR for a look, from a state without any; empty when it is plain. */
  sgr: (look: Look) => string;
}

type Meaning = Exclude<Ink, `author${number}`>;

interface Palette {
  inks: Record<Meaning, string>;
  authors: readonly string[];
  grounds: Record<Ground, string>;
  /** Of text without an ink on a ground: what the terminal has as its own is not known. */
  onGround: string;
}

const ink = (color: number): string => `38;5;${color}`;
const ground = (color: number): string => `48;5;${color}`;

/** Of the fixed part of the 256 colours, so that contrast can be known: 4.5:1 at least on the grounds and on usual backgrounds. */
const DARK: Palette = {
  inks: { muted: ink(248), accent: ink(117), good: ink(114), warning: ink(221), bad: ink(210), mention: `1;${ink(219)}` },
  authors: [50, 207, 208, 39, 225, 226, 40, 108, 211, 186, 117, 118].map(ink),
  grounds: { bar: ground(235), selected: ground(237), mention: ground(53) },
  onGround: ink(252),
};

const LIGHT: Palette = {
  inks: { muted: ink(240), accent: ink(25), good: ink(22), warning: ink(58), bad: ink(124), mention: `1;${ink(90)}` },
  authors: [17, 124, 57, 22, 53, 25, 126, 52, 19, 55, 23, 21].map(ink),
  grounds: { bar: ground(254), selected: ground(189), mention: ground(230) },
  onGround: ink(235),
};

/** Of 16 colours nobody knows what they are: grounds are the terminal's own two, swapped. */
const GROUNDS = { bar: '7', selected: '7', mention: '1' };

const DARK_16: Palette = {
  inks: { muted: '37', accent: '96', good: '92', warning: '93', bad: '91', mention: '1;95' },
  authors: ['96', '92', '93', '95', '36', '32', '33', '35', '94', '1;36', '1;32', '1;35'],
  grounds: GROUNDS,
  onGround: '',
};

const LIGHT_16: Palette = {
  inks: { muted: '90', accent: '34', good: '32', warning: '33', bad: '31', mention: '1;35' },
  authors: ['34', '35', '36', '32', '31', '33', '1;34', '1;35', '1;36', '1;32', '1;31', '1;33'],
  grounds: GROUNDS,
  onGround: '',
};

const NONE: Palette = {
  inks: { muted: '', accent: '', good: '', warning: '', bad: '1', mention: '1' },
  authors: [''],
  grounds: GROUNDS,
  onGround: '',
};

/** Terminals that have no more; all others have 256 colours. */
const FEW_COLORS = /^(?:ansi|cons\d.*|cygwin|linux|rxvt|screen|vt\d.*|xterm-color|.*-16color)$/;

/** The theme of a terminal whose background was found out, or not. */
export function themeOf(env: NodeJS.ProcessEnv, found?: Background): Theme {
  if (hasNoColors(env)) return theme(NONE);
  const background = chosenBackground(env) ?? found ?? toldBackground(env) ?? 'dark';
  const hasFew = FEW_COLORS.test(env.TERM ?? '') && !env.COLORTERM;
  if (background === 'light') return theme(hasFew ? LIGHT_16 : LIGHT);
  return theme(hasFew ? DARK_16 : DARK);
}

/** From an answer to OSC 11, such as `11;rgb:1e1e/1e1e/1e1e`; undefined when it is another one. */
export function backgroundOf(answer: string): Background | undefined {
  const [, ...parts] = /^11;rgba?:([\da-f]{1,4})\/([\da-f]{1,4})\/([\da-f]{1,4})/i.exec(answer) ?? [];
  if (parts.length < 3) return undefined;
  const [red, green, blue] = parts.map((part) => Number.parseInt(part, 16) / (16 ** part.length - 1)) as [number, number, number];
  return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 ? 'light' : 'dark';
}

function hasNoColors(env: NodeJS.ProcessEnv): boolean {
  if (chosenBackground(env)) return false;
  return env.ENGAWA_THEME === 'none' || Boolean(env.NO_COLOR) || env.TERM === 'dumb';
}

const chosenBackground = ({ ENGAWA_THEME: chosen }: NodeJS.ProcessEnv): Background | undefined =>
  chosen === 'dark' || chosen === 'light' ? chosen : undefined;

/** By rxvt and others: foreground and background as numbers of 16 colours. It may be old, from another terminal. */
function toldBackground({ COLORFGBG }: NodeJS.ProcessEnv): Background | undefined {
  const [, color] = /;(\d+)$/.exec(COLORFGBG ?? '') ?? [];
  if (color === undefined) return undefined;
  return Number(color) === 7 || Number(color) > 8 ? 'light' : 'dark';
}

const theme = ({ inks, authors, grounds, onGround }: Palette): Theme => ({
  sgr({ ink: meaning, on, bold, underline }) {
    const color = meaning === undefined ? on && onGround : (inkOf(inks, meaning) ?? authorOf(authors, meaning));
    return [bold && '1', underline && '4', color, on && grounds[on]].filter(Boolean).join(';');
  },
});

const inkOf = (inks: Palette['inks'], meaning: Ink): string | undefined =>
  Object.hasOwn(inks, meaning) ? inks[meaning as Meaning] : undefined;

const authorOf = (authors: readonly string[], meaning: Ink): string =>
  authors[Number(meaning.slice('author'.length)) % authors.length] ?? '';
