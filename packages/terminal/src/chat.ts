import { type Client, connect } from '@engawa/client';
import { openProfile, type Profile } from './profile/profile.ts';
import { type Arguments, UsageError } from './subcommand.ts';
import type { Surroundings } from './surroundings.ts';
import { warn } from './warn.ts';
import { type Words, wordsOf } from './words/words.ts';

/** Chats that the timeline of a room holds; older ones are read when somebody scrolls there. */
const MAX_CHATS = 2_000;

/**
 * `engawa chat`: full-screen on a terminal, else plain lines. Resolves with the exit code.
 *
 * @throws {Failure} when what is asked for cannot be.
 */
export async function chat(asked: Arguments, surroundings: Surroundings): Promise<number> {
  const { env } = surroundings;
  const [room, ...rest] = asked.words;
  if (rest.length > 0) throw new UsageError('one room at a time');
  const [lang, theme] = [choice(asked, 'lang', ['en', 'ja']), choice(asked, 'theme', ['light', 'dark', 'none'])];
  const words = wordsOf(lang, env);
  const isPlain = asked.has('plain') || !isScreen(surroundings);
  if (isPlain && room === undefined) throw new UsageError(words.plainNeedsRoom);
  const profile = openProfile({ as: asked.get('as'), server: asked.get('server'), profile: asked.get('profile') }, env);
  for (const notice of profile.notices) warn(surroundings.stderr, notice);
  const parts = { profile, words };
  return isPlain ? inLines({ ...parts, room: room ?? '' }, surroundings) : onScreen({ ...parts, room, theme }, surroundings);
}

interface Parts {
  profile: Profile;
  words: Words;
}

/** When all is there that listens: who is refused may be told at once. */
const connected = ({ server, storage }: Profile): Client => connect(server, { storage, maxChats: MAX_CHATS });

async function inLines(parts: Parts & { room: string }, surroundings: Surroundings): Promise<number> {
  const { plain } = await import('./plain.ts');
  return plain({ ...parts, client: connected(parts.profile) }, surroundings);
}

async function onScreen(
  { theme, ...parts }: Parts & { room: string | undefined; theme: string | undefined },
  { stdin, stdout, env }: Surroundings,
): Promise<number> {
  const [{ runApp }, { writeInEditor }, { openScreen }] = await Promise.all([
    import('./app/run.ts'),
    import('./app/external-editor.ts'),
    import('./screen/terminal-screen.ts'),
  ]);
  const streams = { stdin, stdout, env: theme === undefined ? env : { ...env, ENGAWA_THEME: theme } };
  return runApp({
    ...parts,
    client: connected(parts.profile),
    write: (text, fits) => writeInEditor(text, env, fits),
    open: (listener) => openScreen(streams, listener),
  });
}

const isScreen = ({ stdin, stdout, env }: Surroundings): boolean => Boolean(stdin.isTTY && stdout.isTTY) && env.TERM !== 'dumb';

function choice(asked: Arguments, option: string, choices: readonly string[]): string | undefined {
  const chosen = asked.get(option);
  if (chosen === undefined || choices.includes(chosen)) return chosen;
  throw new UsageError(`--${option} is one of ${choices.join(', ')}, not "${chosen}"`);
}
