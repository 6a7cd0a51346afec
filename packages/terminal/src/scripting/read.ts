// The `engawa read` command: prints the existing chats of a room and ends.
import type { ProcessIO } from '../command-line/process-io.ts';
import type { Arguments } from '../command-line/subcommand.ts';
import { ChatPrinter } from './chat-printer.ts';
import { CommandSession, roomArgument } from './command-session.ts';
import { followRoom } from './follow-room.ts';
import { parseCount } from './parse-time.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/** Runs `engawa read`. Resolves with the exit code when all chats are written. */
export function read(args: Arguments, io: ProcessIO): Promise<number> {
  const roomId = roomArgument(args);
  const limitText = args.get('limit');
  const limit = limitText === undefined ? undefined : parseCount(limitText, '--limit');
  return CommandSession.run(args, io, {
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    needsName: false,
    async main(session) {
      const printer = new ChatPrinter(session, args, roomId);
      const from = printer.startPosition ?? (limit === undefined ? { kind: 'seq', seq: 0 } : { kind: 'newest', count: limit });
      const onEntry: Parameters<typeof followRoom>[0]['onEntry'] = async (followed) => {
        await printer.print(followed);
        return false;
      };
      await followRoom({ session, roomId, from, isContinuous: false, limit, includesAllKinds: false, onEntry });
    },
  });
}
