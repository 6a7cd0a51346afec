import { type Client, connect } from '@engawa/client';
import { type Options, readOptions } from './options.ts';
import { openProfile, type Profile } from './profile/profile.ts';
import type { Surroundings } from './surroundings.ts';
import { safeLine } from './text/safe.ts';
import { type Words, wordsOf } from './words/words.ts';

/** Chats that the timeline of a room holds; older ones are read when somebody scrolls there. */
const MAX_CHATS = 2_000;

/** `engawa chat`: full-screen on a terminal, else plain lines. Resolves with the exit code. */
export async function chat(args: string[], surroundings: Surroundings): Promise<number> {
  const { stderr, env } = surroundings;
  const options = readOptions(args);
  if (typeof options === 'string') return complain(stderr, options);
  const words = wordsOf(options.lang, env);
  const isPlain = options.isPlain || !isScreen(surroundings);
  if (isPlain && options.room === undefined) return complain(stderr, words.plainNeedsRoom);
  try {
    const profile = openProfile(options, env);
    const client = connect(profile.server, { storage: profile.storage, maxChats: MAX_CHATS });
    return isPlain
      ? await inLines(options, { profile, words, client }, surroundings)
      : await onScreen(options, { profile, words, client }, surroundings);
  } catch (error) {
    // What was said cannot be used: a config file, a profile, a URL.
    if (!(error instanceof Error) || error.name !== 'ProfileError') throw error;
    return complain(stderr, `engawa: ${safeLine(error.message)}`);
  }
}

interface Parts {
  profile: Profile;
  words: Words;
  client: Client;
}

async function inLines({ room = '' }: Options, parts: Parts, surroundings: Surroundings): Promise<number> {
  const { plain } = await import('./plain.ts');
  return plain({ ...parts, room }, surroundings);
}

async function onScreen({ room, theme }: Options, parts: Parts, { stdin, stdout, env }: Surroundings): Promise<number> {
  const [{ runApp }, { openScreen }] = await Promise.all([import('./app/run.ts'), import('./screen/terminal-screen.ts')]);
  const streams = { stdin, stdout, env: theme === undefined ? env : { ...env, ENGAWA_THEME: theme } };
  return runApp({ ...parts, room, open: (listener) => openScreen(streams, listener) });
}

const isScreen = ({ stdin, stdout, env }: Surroundings): boolean => Boolean(stdin.isTTY && stdout.isTTY) && env.TERM !== 'dumb';

function complain(stderr: NodeJS.WriteStream, text: string): number {
  stderr.write(`${text}\n`);
  return 2;
}
