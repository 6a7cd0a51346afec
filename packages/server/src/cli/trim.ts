/** The command `engawa trim`: trims the logs of all rooms now, or shows what would be trimmed. */
import { retentionFromSettings } from '../config/limits.ts';
import { loadSettings, type Settings, SettingsError } from '../config/settings.ts';
import { bodyBytes, planTrim, readEffectiveRetention, type TrimPlan } from '../domain/retention.ts';
import { pluralize, quoteForTerminal } from '../format.ts';
import { openStore, storeOptionsFrom } from '../open-store.ts';
import type { Store } from '../store/contract.ts';
import { reportOperatorErrors } from './operator-errors.ts';

const PAGE_ENTRIES = 500;

interface TrimArguments {
  settings: Settings;
  /** Undefined for all rooms. */
  room: string | undefined;
  isDryRun: boolean;
}

/** `engawa trim`: with `--dry-run` it only prints what would be trimmed. Resolves with the exit code. */
export async function trim(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return reportOperatorErrors(async () => {
    const { settings, options } = loadSettings(args, env, { 'dry-run': { type: 'boolean' }, room: { type: 'string' } });
    const parsed = { settings, room: options.room?.toString(), isDryRun: options['dry-run'] === true };
    const { store } = await openStore(settings.redisUrl || settings.dataDir, { ...storeOptionsFrom(settings), ifMissing: 'refuse' });
    try {
      await run(store, parsed);
    } finally {
      await store.close();
    }
    return 0;
  });
}

async function run(store: Store, parsed: TrimArguments): Promise<void> {
  const total = { rooms: 0, trimmed: 0, entries: 0, bytes: 0 };
  for await (const room of roomNames(store, parsed.room)) {
    total.rooms += 1;
    const trimmedRoom = await trimRoom(store, room, parsed);
    if (!trimmedRoom) continue;
    total.trimmed += 1;
    total.entries += trimmedRoom.entries;
    total.bytes += trimmedRoom.bytes;
  }
  const { rooms, trimmed, entries, bytes } = total;
  console.log(
    `${parsed.isDryRun ? 'Would be trimmed' : 'Trimmed'} in total: ${pluralize(entries, 'entry', 'entries')} with ${pluralize(bytes, 'byte')}, from ${trimmed.toLocaleString('en')} of ${pluralize(rooms, 'room')}.`,
  );
}

async function* roomNames(store: Store, room: string | undefined): AsyncIterable<string> {
  if (room !== undefined) {
    if ((await store.read(room, {})).epoch === null) throw new SettingsError(`There is no room ${quoteForTerminal(room)}.`);
    yield room;
    return;
  }
  for (let [after, hasMore]: [string | undefined, boolean] = [undefined, true]; hasMore; ) {
    const page: Awaited<ReturnType<Store['listRooms']>> = await store.listRooms({
      limit: PAGE_ENTRIES,
      ...(after !== undefined && { after }),
    });
    for (const { room } of page.rooms) yield room;
    after = page.rooms.at(-1)?.room;
    ({ hasMore } = page);
  }
}

async function trimRoom(
  store: Store,
  room: string,
  { settings, isDryRun }: TrimArguments,
): Promise<{ entries: number; bytes: number } | undefined> {
  const plan = await planTrim(store, room, await readEffectiveRetention(store, room, retentionFromSettings(settings)));
  if (!plan || plan.keepFrom === plan.oldest) return undefined;
  const { epoch, oldest, keepFrom, head, bytes: totalBytes } = plan;
  const entries = keepFrom - oldest;
  const bytes = await trimmedBytes(store, room, plan);
  const summary = `${pluralize(entries, 'entry', 'entries')} of ${(head + 1 - oldest).toLocaleString('en')}, ${pluralize(bytes, 'byte')} of ${totalBytes.toLocaleString('en')}`;
  console.log(`${quoteForTerminal(room)}: ${summary}; ${await describeOldestKept(store, room, keepFrom)}`);
  if (!isDryRun) await store.trim(room, { epoch, below: keepFrom });
  return { entries, bytes };
}

async function trimmedBytes(store: Store, room: string, { oldest, keepFrom }: TrimPlan): Promise<number> {
  let bytes = 0;
  for (let seq = oldest; seq < keepFrom; ) {
    const { entries } = await store.readPage(room, { after: seq - 1, limit: Math.min(keepFrom - seq, PAGE_ENTRIES) });
    for (const entry of entries) bytes += bodyBytes(entry);
    seq = (entries.at(-1)?.seq ?? keepFrom) + 1;
  }
  return bytes;
}

async function describeOldestKept(store: Store, room: string, keepFrom: number): Promise<string> {
  const [entry] = (await store.readPage(room, { after: keepFrom - 1, limit: 1 })).entries;
  return entry ? `the oldest remaining entry is ${entry.seq}, of ${new Date(entry.at).toISOString()}` : 'no entry remains';
}
