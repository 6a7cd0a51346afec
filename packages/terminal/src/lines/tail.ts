import type { Arguments } from '../subcommand.ts';
import type { Surroundings } from '../surroundings.ts';
import { follow } from './follow.ts';
import { Printer } from './printing.ts';
import { Program, roomIn } from './program.ts';
import { countOf } from './times.ts';

/** `engawa tail`: resolves with the exit code, when it is ended. */
export function tail(asked: Arguments, surroundings: Surroundings): Promise<number> {
  const roomId = roomIn(asked);
  const lines = countOf(asked.get('lines') ?? '10', '--lines');
  return Program.run(asked, surroundings, {
    connectMs: 0,
    needsName: false,
    async main(program) {
      const printer = new Printer(program, asked, roomId);
      await follow({
        program,
        roomId,
        from: printer.from ?? { kind: 'newest', count: lines },
        isEndless: true,
        isAll: asked.has('all'),
        async tell(told) {
          await printer.print(told);
          return false;
        },
      });
    },
  });
}
