/** Fixtures and assertions shared by the conformance tests. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { AppendNotice, AppendReceipt, AppendRequest, AppendResult, Draft, Entry, Json, RoomChunk, Store } from '@engawa/server';

export type RegisterTest = (name: string, run: () => Promise<void>) => unknown;

export type OpenStore = (options?: { clock?: () => number }) => Promise<Store>;

/** Defines one test, with a new store, more stores on request, and a clock that only moves when the test advances it. */
export type DefineTest = (
  title: string,
  run: (store: Store, clock: ManualClock, openAnother: () => Promise<Store>) => Promise<void>,
) => void;

export class ManualClock {
  now = 1_700_000_000_000;
  advance(milliseconds: number): void {
    this.now += milliseconds;
  }
}

export const NO_LIMIT = 10_000;

export function draft(text: string, more: Partial<Draft> = {}): Draft {
  return { id: randomUUID(), by: 'aya', author: 'user:aya', kind: 'chat', body: { text }, ...more };
}

export const keyDraft = (...values: [key: string, value: Json][]): Draft => draft('sets', { keyUpdates: values });

/** Appends; fails if the result is stale. */
export async function appendOk(
  store: Store,
  room: string,
  append: Partial<AppendRequest> & { drafts: Draft[]; epoch: string | null },
): Promise<AppendReceipt> {
  const appended = await store.append(room, { expectedVersions: [], ...append });
  assert.equal(appended.outcome, 'appended', `an append to ${JSON.stringify(room)}`);
  return receiptOf(appended);
}

export const openRoom = (store: Store, room: string, ...drafts: Draft[]): Promise<AppendReceipt> =>
  appendOk(store, room, { epoch: null, drafts: drafts.length > 0 ? drafts : [draft('opens')] });

/** Ends the room. Asserts that it exists before, and not afterwards. */
export async function endRoom(store: Store, room: string): Promise<void> {
  const { epoch } = await store.read(room, {});
  assert.notEqual(epoch, null);
  await appendOk(store, room, { epoch, drafts: [draft('ends', { endsRoom: true })] });
  assert.equal((await store.read(room, {})).epoch, null);
}

/** Trims the room in its present epoch. */
export async function trim(store: Store, room: string, below: number): Promise<void> {
  const { epoch } = await store.read(room, {});
  await store.trim(room, { epoch: String(epoch), below });
}

export function receiptOf(result: AppendResult): AppendReceipt {
  assert.notEqual(result.outcome, 'stale');
  const { epoch, entries } = result as AppendReceipt;
  return { epoch, entries: entries.map(({ seq, id, at }) => ({ seq, id, at })) };
}

export async function findReceipt(store: Store, room: string, idempotencyKey: string): Promise<AppendReceipt | null> {
  const receipt = await store.findByIdempotencyKey(room, idempotencyKey);
  return receipt && receiptOf({ outcome: 'repeated', ...receipt });
}

export async function listRooms(store: Store, ask: { after?: string; limit?: number } = {}) {
  const { rooms: found, hasMore } = await store.listRooms({ limit: NO_LIMIT, ...ask });
  return { rooms: found.map(({ room, epoch, head, at }) => ({ room, epoch, head, at })), hasMore };
}

export const listExpired = async (store: Store) => (await store.listExpiredLeases(NO_LIMIT)).map(({ room, key }) => ({ room, key }));

/** Everything visible that an append may change. */
async function snapshot(
  store: Store,
  room: string,
  { drafts, expectedVersions, idempotencyKey, requiredExpiredLease: expired }: AppendRequest,
) {
  const holders = drafts.flatMap(({ tickets = [] }) => tickets.map(({ holder }) => holder));
  const keys = [...expectedVersions, ...drafts.flatMap((each) => each.keyUpdates ?? [])].map(([key]) => key);
  return {
    facts: await store.read(room, { keys: expired === undefined ? keys : [...keys, expired], counts: ['', 'member'] }),
    page: await store.readPage(room, { limit: NO_LIMIT }),
    receipt: idempotencyKey === undefined ? null : await findReceipt(store, room, idempotencyKey),
    rooms: await listRooms(store),
    expired: await listExpired(store),
    tickets: await Promise.all(holders.map((holder) => store.listTickets(holder, NO_LIMIT))),
  };
}

/** Appends, and asserts the expected outcome and that nothing else changed. */
export async function assertNothingAppended(
  store: Store,
  room: string,
  outcome: 'stale' | 'repeated',
  more: Partial<AppendRequest>,
): Promise<AppendResult> {
  const append: AppendRequest = { drafts: [draft('refused')], epoch: null, expectedVersions: [], ...more };
  const { notices, messages, unsubscribe } = await listen(store, room);
  const before = await snapshot(store, room, append);
  const appended = await store.append(room, append);
  assert.equal(appended.outcome, outcome);
  assert.deepEqual(await snapshot(store, room, append), before);
  assert.deepEqual([notices, messages], [[], []]);
  unsubscribe();
  return appended;
}

export const assertStale = async (store: Store, room: string, more: Partial<AppendRequest>): Promise<void> => {
  await assertNothingAppended(store, room, 'stale', more);
};

export async function listen(store: Store, room: string) {
  const notices: AppendNotice[] = [];
  const published: Json[] = [];
  const unsubscribe = await store.subscribe(room, {
    onAppend: (notice) => notices.push(notice),
    onPublish: (message) => published.push(message),
    onGap() {},
  });
  return { notices, messages: published, unsubscribe, seqs: () => notices.flatMap(({ entries }) => seqsOf(entries)) };
}

export async function entriesOf(store: Store, room: string): Promise<Entry[]> {
  const { entries, hasMore } = await store.readPage(room, { after: 0, limit: NO_LIMIT });
  assert.equal(hasMore, false);
  return entries;
}

export async function keyOf(store: Store, room: string, key: string) {
  return (await store.read(room, { keys: [key] })).keys.get(key);
}

export async function countsOf(store: Store, room: string, parent: string): Promise<Record<string, number>> {
  const families = (await store.read(room, { counts: [parent] })).counts.get(parent);
  assert.ok(families, 'the result has every requested parent');
  return Object.fromEntries([...families].sort());
}

export const namesOf = async (store: Store, room: string, family: string): Promise<string[]> =>
  (await store.listKeys(room, family, { limit: NO_LIMIT })).keys.map(([name]) => name);

/** The keys of a holder's tickets. */
export const ticketsOf = async (store: Store, holder: string): Promise<string[]> =>
  (await store.listTickets(holder, NO_LIMIT)).map(({ room, key }) => `${room} ${key}`);

export const seqsOf = (entries: { seq: number }[]): number[] => entries.map(({ seq }) => seq);

export const textsOf = (entries: Entry[]): unknown[] => entries.map(({ body }) => body?.text);

export const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

export const repeat = <Result>(count: number, make: (index: number) => Result): Result[] =>
  Array.from({ length: count }, (_, index) => make(index));

export const sortByUtf8 = (names: string[]): string[] => names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

export async function walkFamily(store: Store, room: string, family: string, limit: number): Promise<string[]> {
  const names: string[] = [];
  for (let hasMore = true; hasMore; ) {
    const page = await store.listKeys(room, family, { limit, ...(names.length > 0 && { after: names.at(-1) }) });
    assert.ok(page.keys.length === limit || !page.hasMore, 'a page with more to come is full');
    assert.ok(page.keys.length > 0, 'there was more');
    names.push(...page.keys.map(([name]) => name));
    hasMore = page.hasMore;
  }
  return names;
}

/** All chunks of a room, converted to JSON and back as in a transfer. */
export async function exportAll(store: Store, room: string): Promise<RoomChunk[]> {
  const chunks: RoomChunk[] = [];
  for (let next: string | null = null; chunks.length === 0 || next !== null; next = chunks.at(-1)?.next ?? null) {
    const chunk = await store.exportChunk(room, next);
    assert.ok(chunk, `a part of ${JSON.stringify(room)}`);
    chunks.push(JSON.parse(JSON.stringify(chunk)) as RoomChunk);
  }
  return chunks;
}

export async function walkRooms(store: Store, limit: number): Promise<string[]> {
  const names: string[] = [];
  for (let hasMore = true; hasMore; ) {
    const page = await listRooms(store, { limit, ...(names.length > 0 && { after: names.at(-1) }) });
    assert.ok(page.rooms.length === limit || !page.hasMore, 'a page with more to come is full');
    assert.ok(page.rooms.length > 0, 'there was more');
    names.push(...page.rooms.map(({ room }) => room));
    hasMore = page.hasMore;
  }
  return names;
}
