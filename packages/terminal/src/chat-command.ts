// The `engawa chat` command: chooses the full-screen client or line mode and connects.
import { type Client, connect } from '@engawa/client';
import type { ProcessIO } from './command-line/process-io.ts';
import { type Arguments, UsageError } from './command-line/subcommand.ts';
import { warn } from './command-line/warn.ts';
import { type Messages, messagesFor } from './i18n/messages.ts';
import { openProfile, type Profile } from './profile/profile.ts';

/** Chats that the timeline of a room caches. Older ones are loaded when the user scrolls to them. */
const MAX_CACHED_CHATS = 2_000;

/**
 * Runs `engawa chat`: full-screen on a terminal, otherwise in line mode. Resolves with the exit code.
 *
 * @throws {CliError} when the arguments or the profile are invalid.
 */
export async function chat(args: Arguments, io: ProcessIO): Promise<number> {
  const { env } = io;
  const [room, ...rest] = args.positionals;
  if (rest.length > 0) throw new UsageError('one room at a time');
  const [lang, theme] = [parseChoice(args, 'lang', ['en', 'ja']), parseChoice(args, 'theme', ['light', 'dark', 'none'])];
  const messages = messagesFor(lang, env);
  const isLineMode = args.has('plain') || !isInteractiveTerminal(io);
  if (isLineMode && room === undefined) throw new UsageError(messages.lineModeNeedsRoom);
  const profile = openProfile({ as: args.get('as'), server: args.get('server'), profile: args.get('profile') }, env);
  for (const notice of profile.notices) warn(io.stderr, notice);
  const options = { profile, messages };
  return isLineMode ? runInLineMode({ ...options, room: room ?? '' }, io) : runFullScreen({ ...options, room, theme }, io);
}

interface ChatOptions {
  profile: Profile;
  messages: Messages;
}

/** Call it only after all listeners are ready: a refusal may be reported at once. */
const connectProfile = ({ server, storage }: Profile): Client => connect(server, { storage, maxChats: MAX_CACHED_CHATS });

async function runInLineMode(options: ChatOptions & { room: string }, io: ProcessIO): Promise<number> {
  const { runLineMode } = await import('./line-mode/line-mode.ts');
  return runLineMode({ ...options, client: connectProfile(options.profile) }, io);
}

async function runFullScreen(
  { theme, ...options }: ChatOptions & { room: string | undefined; theme: string | undefined },
  { stdin, stdout, env }: ProcessIO,
): Promise<number> {
  const [{ runApp }, { editExternally }, { openScreen }] = await Promise.all([
    import('./tui/run.ts'),
    import('./tui/external-editor.ts'),
    import('./screen/terminal-screen.ts'),
  ]);
  const streams = { stdin, stdout, env: theme === undefined ? env : { ...env, ENGAWA_THEME: theme } };
  return runApp({
    ...options,
    client: connectProfile(options.profile),
    editExternally: (text, fits) => editExternally(text, env, fits),
    open: (listener) => openScreen(streams, listener),
  });
}

const isInteractiveTerminal = ({ stdin, stdout, env }: ProcessIO): boolean => Boolean(stdin.isTTY && stdout.isTTY) && env.TERM !== 'dumb';

function parseChoice(args: Arguments, option: string, choices: readonly string[]): string | undefined {
  const value = args.get(option);
  if (value === undefined || choices.includes(value)) return value;
  throw new UsageError(`--${option} is one of ${choices.join(', ')}, not "${value}"`);
}
