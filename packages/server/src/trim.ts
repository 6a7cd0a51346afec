import { bytesOf, judge, policyOf, type Verdict } from './chat/retention.ts';
import { explaining } from './explaining.ts';
import { retentionIn } from './limits.ts';
import { loadSettings, type Settings, SettingsError } from './settings.ts';
import type { Store } from './store/store.ts';
import { openStore, optionsIn } from './stores.ts';
import { quoted, several } from './words.ts';

const PAGE = 500;

interface Asked {
  settings: Settings;
  /** All rooms when none is named. */
  room: string | undefined;
  isDry: boolean;
}

/** `engawa trim`: what is not to be kept goes now, or is only told with `--dry-run`. Resolves with the exit code. */
export async function trim(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return explaining(async () => {
    const { settings, options } = loadSettings(args, env, { 'dry-run': { type: 'boolean' }, room: { type: 'string' } });
    const asked = { settings, room: options.room?.toString(), isDry: options['dry-run'] === true };
    const { store } = await openStore(settings.redisUrl || settings.dataDir, { ...optionsIn(settings), ifMissing: 'refuse' });
    try {
      await run(store, asked);
    } finally {
      await store.close();
    }
    return 0;
  });
}

async function run(store: Store, asked: Asked): Promise<void> {
  const total = { rooms: 0, trimmed: 0, entries: 0, bytes: 0 };
  for await (const room of namesOf(store, asked.room)) {
    total.rooms += 1;
    const gone = await trimRoom(store, room, asked);
    if (!gone) continue;
    total.trimmed += 1;
    total.entries += gone.entries;
    total.bytes += gone.bytes;
  }
  const { rooms, trimmed, entries, bytes } = total;
  console.log(
    `${asked.isDry ? 'Would go' : 'Gone'} in all: ${several(entries, 'entry', 'entries')} with ${several(bytes, 'byte')}, from ${trimmed.toLocaleString('en')} of ${several(rooms, 'room')}.`,
  );
}

async function* namesOf(store: Store, asked: string | undefined): AsyncIterable<string> {
  if (asked !== undefined) {
    if ((await store.read(asked, {})).epoch === null) throw new SettingsError(`There is no room ${quoted(asked)}.`);
    yield asked;
    return;
  }
  for (let [after, more]: [string | undefined, boolean] = [undefined, true]; more; ) {
    const page: Awaited<ReturnType<Store['rooms']>> = await store.rooms({ limit: PAGE, ...(after !== undefined && { after }) });
    for (const { room } of page.rooms) yield room;
    after = page.rooms.at(-1)?.room;
    ({ more } = page);
  }
}

async function trimRoom(store: Store, room: string, { settings, isDry }: Asked): Promise<{ entries: number; bytes: number } | undefined> {
  const verdict = await judge(store, room, await policyOf(store, room, retentionIn(settings)));
  if (!verdict || verdict.stays === verdict.oldest) return undefined;
  const { epoch, oldest, stays, head, bytes: all } = verdict;
  const entries = stays - oldest;
  const bytes = await bytesBelow(store, room, verdict);
  const goes = `${several(entries, 'entry', 'entries')} of ${(head + 1 - oldest).toLocaleString('en')}, ${several(bytes, 'byte')} of ${all.toLocaleString('en')}`;
  console.log(`${quoted(room)}: ${goes}; ${await oldestThatStays(store, room, stays)}`);
  if (!isDry) await store.trim(room, { epoch, below: stays });
  return { entries, bytes };
}

async function bytesBelow(store: Store, room: string, { oldest, stays }: Verdict): Promise<number> {
  let bytes = 0;
  for (let seq = oldest; seq < stays; ) {
    const { entries } = await store.page(room, { after: seq - 1, limit: Math.min(stays - seq, PAGE) });
    for (const entry of entries) bytes += bytesOf(entry);
    seq = (entries.at(-1)?.seq ?? stays) + 1;
  }
  return bytes;
}

async function oldestThatStays(store: Store, room: string, stays: number): Promise<string> {
  const [entry] = (await store.page(room, { after: stays - 1, limit: 1 })).entries;
  return entry ? `the oldest that stays is ${entry.seq}, of ${new Date(entry.at).toISOString()}` : 'nothing stays';
}
