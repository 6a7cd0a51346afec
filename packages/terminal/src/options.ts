import { parseArgs } from 'node:util';

export interface Options {
  /** The rooms of last time when not given. */
  room: string | undefined;
  as: string | undefined;
  server: string | undefined;
  profile: string | undefined;
  isPlain: boolean;
  lang: string | undefined;
  theme: string | undefined;
}

const USAGE = 'usage: engawa chat [ROOM] [--as NAME] [--server URL] [--profile NAME] [--plain] [--lang en|ja] [--theme light|dark|none]';

/** What the command line asks for, or a text that says what it lacks. */
export function readOptions(args: string[]): Options | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        as: { type: 'string' },
        server: { type: 'string' },
        profile: { type: 'string' },
        plain: { type: 'boolean', default: false },
        lang: { type: 'string' },
        theme: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    const [room, ...rest] = positionals;
    const { as, server, profile, plain: isPlain, lang, theme, help } = values;
    const isKnown = (lang === undefined || /^(en|ja)$/.test(lang)) && (theme === undefined || /^(light|dark|none)$/.test(theme));
    return help || rest.length > 0 || !isKnown ? USAGE : { room, as, server, profile, isPlain, lang, theme };
  } catch (error) {
    return `${(error as Error).message}\n${USAGE}`;
  }
}
