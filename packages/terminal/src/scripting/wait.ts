// The `engawa wait` command: waits for a matching chat, prints it and ends.
import type { Chat } from '@engawa/client';
import { CliError } from '../command-line/cli-error.ts';
import type { ProcessIO } from '../command-line/process-io.ts';
import { type Arguments, UsageError } from '../command-line/subcommand.ts';
import { ChatPrinter } from './chat-printer.ts';
import { CommandSession, roomArgument } from './command-session.ts';
import { followRoom } from './follow-room.ts';
import { parseDuration } from './parse-time.ts';

const TIMED_OUT_EXIT_CODE = 124;
/** Matching considers only this many code units: no valid chat is longer. */
const MAX_MATCHED_UNITS = 8_000;

/** Runs `engawa wait`. Resolves with the exit code when a chat matched. */
export function wait(args: Arguments, io: ProcessIO): Promise<number> {
  const roomId = roomArgument(args);
  const matches = createMatcher(args.get('match'));
  const author = args.get('from')?.normalize();
  const timeoutText = args.get('timeout');
  const timeoutMs = timeoutText === undefined ? undefined : parseDuration(timeoutText, '--timeout');
  return CommandSession.run(args, io, {
    connectTimeoutMs: 0,
    needsName: false,
    async main(session) {
      const failure = new CliError(`${roomId}: it did not come within ${timeoutText ?? ''}`, TIMED_OUT_EXIT_CODE);
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => session.fail(failure), timeoutMs);
      session.addCleanup(() => clearTimeout(timer));
      const printer = new ChatPrinter(session, args, roomId);
      await followRoom({
        session,
        roomId,
        from: printer.startPosition ?? { kind: 'now' },
        isContinuous: true,
        includesAllKinds: false,
        async onEntry(followed) {
          const isMatch =
            followed.chat !== undefined && (author === undefined || followed.chat.username === author) && matches(followed.chat);
          if (isMatch) await printer.print(followed);
          return isMatch;
        },
      });
    },
  });
}

/** Literal text, or a regular expression between slashes. */
function createMatcher(pattern: string | undefined): (chat: Chat) => boolean {
  const [, source, flags = ''] = /^\/([\s\S]+)\/([a-z]*)$/.exec(pattern ?? '') ?? [];
  const textOf = ({ message }: Chat) => message?.slice(0, MAX_MATCHED_UNITS);
  if (source === undefined) return (chat) => textOf(chat)?.includes(pattern ?? '') ?? false;
  const expression = compilePattern(source, flags);
  return (chat) => {
    const text = textOf(chat);
    return text !== undefined && expression.test(text);
  };
}

function compilePattern(source: string, flags: string): RegExp {
  try {
    // The flags g and y would continue at the end of the last match.
    return new RegExp(source, flags.replace(/[gy]/g, ''));
  } catch (error) {
    throw new UsageError(`--match: ${(error as Error).message}`, { cause: error });
  }
}
