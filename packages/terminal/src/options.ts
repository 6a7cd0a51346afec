import { parseArgs } from 'node:util';

export interface Options {
  room: string;
  username: string;
  server: string;
}

const USAGE = 'usage: engawa chat ROOM --as NAME [--server URL]';

/** What the command line asks for, or a text that says what it lacks. */
export function readOptions(args: string[], env: NodeJS.ProcessEnv): Options | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { as: { type: 'string' }, server: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    const [room, ...rest] = positionals;
    const username = values.as ?? env.ENGAWA_NAME ?? env.USER;
    if (values.help || room === undefined || username === undefined || rest.length > 0) return USAGE;
    return { room, username, server: new URL(values.server ?? env.ENGAWA_SERVER ?? 'http://localhost:3000').href };
  } catch (error) {
    return `${(error as Error).message}\n${USAGE}`;
  }
}
