// The `engawa rooms` and `engawa who` commands: print all pages of a list.
import { CliError } from '../command-line/cli-error.ts';
import type { ProcessIO } from '../command-line/process-io.ts';
import { type Arguments, UsageError } from '../command-line/subcommand.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import { CommandSession, roomArgument } from './command-session.ts';
import { toJsonLine } from './output-formats.ts';
import { RoomView } from './room-view.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const PAGE_SIZE = 500;

interface ListOptions<Item extends object> {
  session: CommandSession;
  fetchPage: (
    after: string | undefined,
  ) => Promise<{ ok: true; items: Item[]; hasMore: boolean } | { ok: false; error: { message: string } }>;
  nameOf: (item: Item) => string;
  print: (item: Item) => void;
}

/** Runs `engawa rooms` and resolves with the exit code. */
export function listRooms(args: Arguments, io: ProcessIO): Promise<number> {
  if (args.positionals.length > 0) throw new UsageError('it lists all rooms and takes no argument');
  return CommandSession.run(args, io, {
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    needsName: false,
    async main(session) {
      const client = session.connect();
      await printAllPages({
        session,
        async fetchPage(after) {
          const answer = await client.listRooms({ ...(after !== undefined && { after }), limit: PAGE_SIZE });
          return answer.ok ? { ok: true, items: answer.rooms, hasMore: answer.hasMore } : answer;
        },
        nameOf: ({ roomId }) => roomId,
        print: (room) =>
          session.output.writeLine(
            args.has('json') ? toJsonLine(room) : `${sanitizeLine(room.roomId)}  ${room.members}  ${sanitizeLine(room.topic)}`.trimEnd(),
          ),
      });
    },
  });
}

/** Runs `engawa who` and resolves with the exit code. */
export function listMembers(args: Arguments, io: ProcessIO): Promise<number> {
  const roomId = roomArgument(args);
  return CommandSession.run(args, io, {
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    needsName: false,
    async main(session) {
      session.connect();
      const room = new RoomView(session, roomId);
      await printAllPages({
        session,
        async fetchPage(after) {
          const { members, hasMore } = await room.members({ ...(after !== undefined && { after }), limit: PAGE_SIZE });
          return { ok: true, items: members, hasMore };
        },
        nameOf: ({ username }) => username,
        print(member) {
          const { username, presence, role } = member;
          const line = `${sanitizeLine(username)}  ${presence}${role === 'owner' ? '  owner' : ''}`;
          session.output.writeLine(args.has('json') ? toJsonLine(member) : line);
        },
      });
    },
  });
}

/** Requests a page when the one before is written. */
async function printAllPages<Item extends object>({ session, fetchPage, nameOf, print }: ListOptions<Item>): Promise<void> {
  for (let after: string | undefined, hasMore = true; hasMore; ) {
    const answer = await session.unlessAborted(fetchPage(after));
    if (!answer.ok) throw new CliError(answer.error.message);
    for (const item of answer.items) print(item);
    const last = answer.items.at(-1);
    hasMore = answer.hasMore && last !== undefined;
    after = last && nameOf(last);
    await session.unlessAborted(session.output.waitForDrain(PAGE_SIZE));
  }
}
