import { Failure } from '../failure.ts';
import { type Arguments, UsageError } from '../subcommand.ts';
import type { Surroundings } from '../surroundings.ts';
import { safeLine } from '../text/safe.ts';
import { jsonLine } from './formats.ts';
import { Program, roomIn } from './program.ts';
import { RoomView } from './room-view.ts';

const CONNECT_MS = 10_000;
const PAGE = 500;

interface Listing<Item extends object> {
  program: Program;
  ask: (after: string | undefined) => Promise<{ ok: true; items: Item[]; more: boolean } | { ok: false; error: { message: string } }>;
  nameOf: (item: Item) => string;
  print: (item: Item) => void;
}

/** `engawa rooms`: resolves with the exit code. */
export function rooms(asked: Arguments, surroundings: Surroundings): Promise<number> {
  if (asked.words.length > 0) throw new UsageError('it lists all rooms, and takes none');
  return Program.run(asked, surroundings, {
    connectMs: CONNECT_MS,
    needsName: false,
    async main(program) {
      const client = program.connect();
      await list({
        program,
        async ask(after) {
          const answer = await client.listRooms({ ...(after !== undefined && { after }), limit: PAGE });
          return answer.ok ? { ok: true, items: answer.rooms, more: answer.more } : answer;
        },
        nameOf: ({ roomId }) => roomId,
        print: (room) =>
          program.out.put(
            asked.has('json') ? jsonLine(room) : `${safeLine(room.roomId)}  ${room.members}  ${safeLine(room.topic)}`.trimEnd(),
          ),
      });
    },
  });
}

/** `engawa who`: resolves with the exit code. */
export function who(asked: Arguments, surroundings: Surroundings): Promise<number> {
  const roomId = roomIn(asked);
  return Program.run(asked, surroundings, {
    connectMs: CONNECT_MS,
    needsName: false,
    async main(program) {
      program.connect();
      const room = new RoomView(program, roomId);
      await list({
        program,
        async ask(after) {
          const { members, more } = await room.members({ ...(after !== undefined && { after }), limit: PAGE });
          return { ok: true, items: members, more };
        },
        nameOf: ({ username }) => username,
        print(member) {
          const { username, presence, role } = member;
          const line = `${safeLine(username)}  ${presence}${role === 'owner' ? '  owner' : ''}`;
          program.out.put(asked.has('json') ? jsonLine(member) : line);
        },
      });
    },
  });
}

/** Page by page, as fast as it is taken. */
async function list<Item extends object>({ program, ask, nameOf, print }: Listing<Item>): Promise<void> {
  for (let after: string | undefined, more = true; more; ) {
    const answer = await program.unlessOver(ask(after));
    if (!answer.ok) throw new Failure(answer.error.message);
    for (const item of answer.items) print(item);
    const last = answer.items.at(-1);
    more = answer.more && last !== undefined;
    after = last && nameOf(last);
    await program.unlessOver(program.out.drained(PAGE));
  }
}
