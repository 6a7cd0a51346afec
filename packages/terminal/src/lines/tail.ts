import type { Arguments } from '../subcommand.ts';
import type { ProcessIO } from '../surroundings.ts';
import { followRoom } from './follow.ts';
import { ChatPrinter } from './printing.ts';
import { CommandSession, roomArgument } from './program.ts';
import { parseCount } from './times.ts';

/** `engawa tail`: resolves with the exit code, when it is ended. */
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
