import type { Arguments } from '../subcommand.ts';
import type { Surroundings } from '../surroundings.ts';
import { follow } from './follow.ts';
import { Printer } from './printing.ts';
import { Program, roomIn } from './program.ts';
import { countOf } from './times.ts';

const CONNECT_MS = 10_000;

/** `engawa read`: resolves with the exit code, when all that is there was taken. */
export function read(asked: Arguments, surroundings: Surroundings): Promise<number> {
  const roomId = roomIn(asked);
  const given = asked.get('limit');
  const limit = given === undefined ? undefined : countOf(given, '--limit');
  return Program.run(asked, surroundings, {
    connectMs: CONNECT_MS,
    needsName: false,
    async main(program) {
      const printer = new Printer(program, asked, roomId);
      const from = printer.from ?? (limit === undefined ? { kind: 'seq', seq: 0 } : { kind: 'newest', count: limit });
      const tell: Parameters<typeof follow>[0]['tell'] = async (told) => {
        await printer.print(told);
        return false;
      };
      await follow({ program, roomId, from, isEndless: false, limit, isAll: false, tell });
    },
  });
}
