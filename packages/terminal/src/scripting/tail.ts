// The `engawa tail` command: prints the last chats of a room and follows new ones.
import type { ProcessIO } from '../command-line/process-io.ts';
import type { Arguments } from '../command-line/subcommand.ts';
import { ChatPrinter } from './chat-printer.ts';
import { CommandSession, roomArgument } from './command-session.ts';
import { followRoom } from './follow-room.ts';
import { parseCount } from './parse-time.ts';

/** Runs `engawa tail` until it is ended. Resolves with the exit code. */
export function tail(args: Arguments, io: ProcessIO): Promise<number> {
  const roomId = roomArgument(args);
  const lines = parseCount(args.get('lines') ?? '10', '--lines');
  return CommandSession.run(args, io, {
    connectTimeoutMs: 0,
    needsName: false,
    async main(session) {
      const printer = new ChatPrinter(session, args, roomId);
      await followRoom({
        session,
        roomId,
        from: printer.startPosition ?? { kind: 'newest', count: lines },
        isContinuous: true,
        includesAllKinds: args.has('all'),
        async onEntry(followed) {
          await printer.print(followed);
          return false;
        },
      });
    },
  });
}
