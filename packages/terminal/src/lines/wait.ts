import type { Chat } from '@engawa/client';
import { Failure } from '../failure.ts';
import { type Arguments, UsageError } from '../subcommand.ts';
import type { Surroundings } from '../surroundings.ts';
import { follow } from './follow.ts';
import { Printer } from './printing.ts';
import { Program, roomIn } from './program.ts';
import { durationOf } from './times.ts';

const TIMED_OUT = 124;
/** No chat has more; what is longer is not looked at beyond. */
const MOST_UNITS = 8_000;

/** `engawa wait`: resolves with the exit code, when a chat matched. */
export function wait(asked: Arguments, surroundings: Surroundings): Promise<number> {
  const roomId = roomIn(asked);
  const matches = matcherOf(asked.get('match'));
  const author = asked.get('from')?.normalize();
  const given = asked.get('timeout');
  const timeout = given === undefined ? undefined : durationOf(given, '--timeout');
  return Program.run(asked, surroundings, {
    connectMs: 0,
    needsName: false,
    async main(program) {
      const failure = new Failure(`${roomId}: it did not come within ${given ?? ''}`, TIMED_OUT);
      const late = timeout === undefined ? undefined : setTimeout(() => program.fail(failure), timeout);
      program.atEnd(() => clearTimeout(late));
      const printer = new Printer(program, asked, roomId);
      await follow({
        program,
        roomId,
        from: printer.from ?? { kind: 'now' },
        isEndless: true,
        isAll: false,
        async tell(told) {
          const isIt = told.chat !== undefined && (author === undefined || told.chat.username === author) && matches(told.chat);
          if (isIt) await printer.print(told);
          return isIt;
        },
      });
    },
  });
}

/** Text as it is, or a regular expression between slashes. */
function matcherOf(given: string | undefined): (chat: Chat) => boolean {
  const [, source, flags = ''] = /^\/([\s\S]+)\/([a-z]*)$/.exec(given ?? '') ?? [];
  const textOf = ({ message }: Chat) => message?.slice(0, MOST_UNITS);
  if (source === undefined) return (chat) => textOf(chat)?.includes(given ?? '') ?? false;
  const expression = expressionOf(source, flags);
  return (chat) => {
    const text = textOf(chat);
    return text !== undefined && expression.test(text);
  };
}

function expressionOf(source: string, flags: string): RegExp {
  try {
    // With g and y it would go on where it was.
    return new RegExp(source, flags.replace(/[gy]/g, ''));
  } catch (error) {
    throw new UsageError(`--match: ${(error as Error).message}`, { cause: error });
  }
}
