// Color themes: SGR codes for dark, light, 16-color and colorless terminals.
import type { Background, Color, Span } from '../text/styled-span.ts';

type Brightness = 'dark' | 'light';
/** The style of a span: everything except text and link. */
type Style = Omit<Span, 'text' | 'link'>;

export interface Theme {
  /** The SGR parameters of a style, relative to the default style; empty for plain text. */
  sgr: (look: Style) => string;
}

type SemanticColor = Exclude<Color, `author${number}`>;

interface Palette {
  colors: Record<SemanticColor, string>;
  authorColors: readonly string[];
  backgrounds: Record<Background, string>;
  /** Foreground of text without a color on a colored background, because the default foreground is unknown. */
  defaultOnBackground: string;
}

const foregroundCode = (color: number): string => `38;5;${color}`;
const backgroundCode = (color: number): string => `48;5;${color}`;

/** Colors from the fixed part of the 256-color palette, so that the contrast is known: at least 4.5:1. */
const DARK: Palette = {
  colors: {
    muted: foregroundCode(248),
    accent: foregroundCode(117),
    good: foregroundCode(114),
    warning: foregroundCode(221),
    bad: foregroundCode(210),
    mention: `1;${foregroundCode(219)}`,
  },
  authorColors: [50, 207, 208, 39, 225, 226, 40, 108, 211, 186, 117, 118].map(foregroundCode),
  backgrounds: { bar: backgroundCode(235), selected: backgroundCode(237), mention: backgroundCode(53) },
  defaultOnBackground: foregroundCode(252),
};

const LIGHT: Palette = {
  colors: {
    muted: foregroundCode(240),
    accent: foregroundCode(25),
    good: foregroundCode(22),
    warning: foregroundCode(58),
    bad: foregroundCode(124),
    mention: `1;${foregroundCode(90)}`,
  },
  authorColors: [17, 124, 57, 22, 53, 25, 126, 52, 19, 55, 23, 21].map(foregroundCode),
  backgrounds: { bar: backgroundCode(254), selected: backgroundCode(189), mention: backgroundCode(230) },
  defaultOnBackground: foregroundCode(235),
};

/** The 16 colors vary among terminals: backgrounds are the default colors, swapped. */
const BASIC_BACKGROUNDS = { bar: '7', selected: '7', mention: '1' };

const DARK_16: Palette = {
  colors: { muted: '37', accent: '96', good: '92', warning: '93', bad: '91', mention: '1;95' },
  authorColors: ['96', '92', '93', '95', '36', '32', '33', '35', '94', '1;36', '1;32', '1;35'],
  backgrounds: BASIC_BACKGROUNDS,
  defaultOnBackground: '',
};

const LIGHT_16: Palette = {
  colors: { muted: '90', accent: '34', good: '32', warning: '33', bad: '31', mention: '1;35' },
  authorColors: ['34', '35', '36', '32', '31', '33', '1;34', '1;35', '1;36', '1;32', '1;31', '1;33'],
  backgrounds: BASIC_BACKGROUNDS,
  defaultOnBackground: '',
};

const COLORLESS: Palette = {
  colors: { muted: '', accent: '', good: '', warning: '', bad: '1', mention: '1' },
  authorColors: [''],
  backgrounds: BASIC_BACKGROUNDS,
  defaultOnBackground: '',
};

/** Terminals with at most 16 colors; all others are assumed to have 256. */
const FEW_COLORS = /^(?:ansi|cons\d.*|cygwin|linux|rxvt|screen|vt\d.*|xterm-color|.*-16color)$/;

/** The theme for the reported background brightness, if it is known. */
export function selectTheme(env: NodeJS.ProcessEnv, reported?: Brightness): Theme {
  if (isColorless(env)) return createTheme(COLORLESS);
  const brightness = configuredBrightness(env) ?? reported ?? brightnessFromEnvironment(env) ?? 'dark';
  const hasFew = FEW_COLORS.test(env.TERM ?? '') && !env.COLORTERM;
  if (brightness === 'light') return createTheme(hasFew ? LIGHT_16 : LIGHT);
  return createTheme(hasFew ? DARK_16 : DARK);
}

/** Parses a reply to OSC 11, such as `11;rgb:1e1e/1e1e/1e1e`; undefined for another reply. */
export function parseBackgroundReply(answer: string): Brightness | undefined {
  const [, ...parts] = /^11;rgba?:([\da-f]{1,4})\/([\da-f]{1,4})\/([\da-f]{1,4})/i.exec(answer) ?? [];
  if (parts.length < 3) return undefined;
  const [red, green, blue] = parts.map((part) => Number.parseInt(part, 16) / (16 ** part.length - 1)) as [number, number, number];
  return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 ? 'light' : 'dark';
}

function isColorless(env: NodeJS.ProcessEnv): boolean {
  if (configuredBrightness(env)) return false;
  return env.ENGAWA_THEME === 'none' || Boolean(env.NO_COLOR) || env.TERM === 'dumb';
}

const configuredBrightness = ({ ENGAWA_THEME: chosen }: NodeJS.ProcessEnv): Brightness | undefined =>
  chosen === 'dark' || chosen === 'light' ? chosen : undefined;

/** COLORFGBG of rxvt and others: foreground and background as numbers of 16 colors. It may be inherited from another terminal. */
function brightnessFromEnvironment({ COLORFGBG }: NodeJS.ProcessEnv): Brightness | undefined {
  const [, color] = /;(\d+)$/.exec(COLORFGBG ?? '') ?? [];
  if (color === undefined) return undefined;
  return Number(color) === 7 || Number(color) > 8 ? 'light' : 'dark';
}

const createTheme = ({ colors, authorColors, backgrounds, defaultOnBackground }: Palette): Theme => ({
  sgr({ color: meaning, background, bold, underline }) {
    const color =
      meaning === undefined ? background && defaultOnBackground : (colorCode(colors, meaning) ?? authorColorCode(authorColors, meaning));
    return [bold && '1', underline && '4', color, background && backgrounds[background]].filter(Boolean).join(';');
  },
});

const colorCode = (colors: Palette['colors'], color: Color): string | undefined =>
  Object.hasOwn(colors, color) ? colors[color as SemanticColor] : undefined;

const authorColorCode = (authors: readonly string[], color: Color): string =>
  authors[Number(color.slice('author'.length)) % authors.length] ?? '';
