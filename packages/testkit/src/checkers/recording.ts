/** Records what clients receive and what the store holds, for the history checker. */
import type { Entry, KeyState, Store } from '@engawa/server';
import type { Socket } from 'socket.io-client';
import type { ReceivedEntry, ReceivedLog, RoomLog, SentCommand } from './history.ts';

/**
 * Records the events of a socket, for each room separately. An event that repeats an answer to its sender is no
 * broadcast entry, and has no `prev`.
 */
export function recordReceived(socket: Socket, receivedLogOf: (roomId: string) => ReceivedLog | undefined): void {
  socket.onAny((event: string, payload: Omit<ReceivedEntry, 'kind'> & { roomId: string; prev?: string | null }) => {
    const { roomId, ...fields } = payload;
    if (fields.prev === undefined) return;
    receivedLogOf(roomId)?.entries.push({ ...fields, kind: event.replace(/:success$/, '') } as ReceivedEntry);
  });
}

/** All data of a room in the store, for comparison with what its clients observed. */
export async function readRoom(store: Store, room: string, sent: SentCommand[]): Promise<RoomLog> {
  const entries = await readEntries(store, room);
  const { epoch, head } = await store.read(room, {});
  const counts = await readCounts(store, room, entries);
  return {
    epoch,
    head,
    entries,
    counts,
    keys: await readKeys(store, room, counts),
    storedResults: await readStoredResults(store, room, entries, sent),
  };
}

export async function readEntries(store: Store, room: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let hasMore = true; hasMore; ) {
    const page = await store.readPage(room, { after: entries.at(-1)?.seq ?? 0, limit: 500 });
    entries.push(...page.entries);
    hasMore = page.hasMore;
  }
  return entries;
}

/** Key families are at the top level, or below the chat that they belong to. */
async function readCounts(store: Store, room: string, entries: Entry[]): Promise<Map<string, number>> {
  const parents = ['', 'entry', 'member', ...entries.map(({ seq }) => `entry/${seq}/reaction`)];
  const { counts } = await store.read(room, { counts: parents });
  return new Map(
    [...counts].flatMap(([parent, families]) =>
      [...families].map(([family, count]) => [parent === '' ? family : `${parent}/${family}`, count] as const),
    ),
  );
}

async function readKeys(store: Store, room: string, counts: Map<string, number>): Promise<Map<string, KeyState>> {
  const { keys } = await store.read(room, { keys: ['settings'] });
  for (const family of counts.keys()) {
    for (const [name, key] of await readFamily(store, room, family)) keys.set(`${family}/${name}`, key);
  }
  // Marks and leases are no part of the log.
  return new Map([...keys].map(([name, { value, seq }]) => [name, { value, seq }]));
}

async function readFamily(store: Store, room: string, family: string): Promise<[name: string, key: KeyState][]> {
  const keys: [string, KeyState][] = [];
  for (let hasMore = true; hasMore; ) {
    const after = keys.at(-1)?.[0];
    const page = await store.listKeys(room, family, after === undefined ? { limit: 500 } : { after, limit: 500 });
    keys.push(...page.keys);
    hasMore = page.hasMore;
  }
  return keys;
}

async function readStoredResults(store: Store, room: string, entries: Entry[], sent: SentCommand[]): Promise<RoomLog['storedResults']> {
  // The name may have belonged to another client before.
  const authors = new Map<string, Set<string>>();
  for (const { by, author } of entries) authors.set(by, (authors.get(by) ?? new Set()).add(author));
  const storedResults: RoomLog['storedResults'] = new Map();
  for (const each of sent) {
    const clientId = each.packet?.clientId ?? each.payload.clientId;
    if (clientId === undefined) continue;
    const found = await Promise.all(
      [...(authors.get(each.client) ?? [])].map((author) => store.findByIdempotencyKey(room, `${author}:${clientId}`)),
    );
    storedResults.set(
      each,
      found.flatMap((one) => one?.entries ?? []).filter((_, index) => each.packet === undefined || index === each.packet.index),
    );
  }
  return storedResults;
}
