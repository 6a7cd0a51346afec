// Counts the commands that a Redis receives, by MONITOR.
import { createClient } from '@redis/client';

/** Commands of clients, and those of the scripts that they ran. */
export interface CommandCounts {
  byClients: Map<string, number>;
  inScripts: Map<string, number>;
}

const LINE = /^\S+ \[\d+ (\S+)\] "(\w+)"/;

/** Counts for so many milliseconds; MONITOR itself is not counted. */
export async function countCommands(url: string, milliseconds: number): Promise<CommandCounts> {
  const seen: CommandCounts = { byClients: new Map(), inScripts: new Map() };
  const client = await createClient({ url, RESP: 2 }).connect();
  await client.monitor((line) => {
    const [, from, name] = LINE.exec(String(line)) ?? [];
    if (name === undefined) return;
    const counts = from === 'lua' ? seen.inScripts : seen.byClients;
    counts.set(name.toLowerCase(), (counts.get(name.toLowerCase()) ?? 0) + 1);
  });
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  client.destroy();
  return seen;
}

export const total = (counts: Map<string, number>): number => [...counts.values()].reduce((sum, count) => sum + count, 0);
