import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Append, Appended, Draft, Entry, Json, Kept, Parcel, Store, Told } from '../store.ts';

export type Test = (name: string, run: () => Promise<void>) => unknown;

export type Open = (options?: { clock?: () => number }) => Promise<Store>;

/** Tests one sentence on a store of its own, and others if it asks for them, by a clock that stands still until it is moved. */
export type Check = (sentence: string, run: (store: Store, clock: Clock, openAnother: () => Promise<Store>) => Promise<void>) => void;

export class Clock {
  now = 1_700_000_000_000;
  pass(milliseconds: number): void {
    this.now += milliseconds;
  }
}

export const ALL = 10_000;

export function draft(text: string, more: Partial<Draft> = {}): Draft {
  return { id: randomUUID(), by: 'aya', author: 'user:aya', kind: 'chat', body: { text }, ...more };
}

export const sets = (...values: [key: string, value: Json][]): Draft => draft('sets', { sets: values });

/** Appends, which must not be stale. */
export async function add(store: Store, room: string, append: Partial<Append> & { drafts: Draft[]; epoch: string | null }): Promise<Kept> {
  const appended = await store.append(room, { given: [], ...append });
  assert.equal(appended.outcome, 'appended', `an append to ${JSON.stringify(room)}`);
  return keptOf(appended);
}

export const openRoom = (store: Store, room: string, ...drafts: Draft[]): Promise<Kept> =>
  add(store, room, { epoch: null, drafts: drafts.length > 0 ? drafts : [draft('opens')] });

/** Ends the room, which must be there, and not be there afterwards. */
export async function endRoom(store: Store, room: string): Promise<void> {
  const { epoch } = await store.read(room, {});
  assert.notEqual(epoch, null);
  await add(store, room, { epoch, drafts: [draft('ends', { ends: true })] });
  assert.equal((await store.read(room, {})).epoch, null);
}

/** Trims the room as it is. */
export async function trim(store: Store, room: string, below: number): Promise<void> {
  const { epoch } = await store.read(room, {});
  await store.trim(room, { epoch: String(epoch), below });
}

export function keptOf(appended: Appended): Kept {
  assert.notEqual(appended.outcome, 'stale');
  const { epoch, entries } = appended as Kept;
  return { epoch, entries: entries.map(({ seq, id, at }) => ({ seq, id, at })) };
}

export async function recall(store: Store, room: string, once: string): Promise<Kept | null> {
  const kept = await store.recall(room, once);
  return kept && keptOf({ outcome: 'repeated', ...kept });
}

export async function listRooms(store: Store, ask: { after?: string; limit?: number } = {}) {
  const { rooms: found, more } = await store.rooms({ limit: ALL, ...ask });
  return { rooms: found.map(({ room, epoch, head, at }) => ({ room, epoch, head, at })), more };
}

export const listLapsed = async (store: Store) => (await store.lapsed(ALL)).map(({ room, key }) => ({ room, key }));

/** All that can be seen of what an append might have changed. */
async function picture(store: Store, room: string, { drafts, given, once, lapsed }: Append) {
  const holders = drafts.flatMap(({ tickets = [] }) => tickets.map(({ holder }) => holder));
  const named = [...given, ...drafts.flatMap((each) => each.sets ?? [])].map(([key]) => key);
  return {
    facts: await store.read(room, { keys: lapsed === undefined ? named : [...named, lapsed], counts: ['', 'member'] }),
    page: await store.page(room, { limit: ALL }),
    kept: once === undefined ? null : await recall(store, room, once),
    rooms: await listRooms(store),
    lapsed: await listLapsed(store),
    tickets: await Promise.all(holders.map((holder) => store.tickets(holder, ALL))),
  };
}

/** Appends, and nothing must come of it but the expected outcome. */
export async function appendsNothing(store: Store, room: string, outcome: 'stale' | 'repeated', more: Partial<Append>): Promise<Appended> {
  const append: Append = { drafts: [draft('in vain')], epoch: null, given: [], ...more };
  const { heard, signals, leave } = await listen(store, room);
  const before = await picture(store, room, append);
  const appended = await store.append(room, append);
  assert.equal(appended.outcome, outcome);
  assert.deepEqual(await picture(store, room, append), before);
  assert.deepEqual([heard, signals], [[], []]);
  leave();
  return appended;
}

export const isStale = async (store: Store, room: string, more: Partial<Append>): Promise<void> => {
  await appendsNothing(store, room, 'stale', more);
};

export async function listen(store: Store, room: string) {
  const heard: Told[] = [];
  const signals: Json[] = [];
  const leave = await store.subscribe(room, {
    appended: (told) => heard.push(told),
    announced: (signal) => signals.push(signal),
    missed() {},
  });
  return { heard, signals, leave, seqs: () => heard.flatMap(({ entries }) => seqsOf(entries)) };
}

export async function entriesOf(store: Store, room: string): Promise<Entry[]> {
  const { entries, more } = await store.page(room, { after: 0, limit: ALL });
  assert.equal(more, false);
  return entries;
}

export async function keyOf(store: Store, room: string, key: string) {
  return (await store.read(room, { keys: [key] })).keys.get(key);
}

export async function countsOf(store: Store, room: string, parent: string): Promise<Record<string, number>> {
  const families = (await store.read(room, { counts: [parent] })).counts.get(parent);
  assert.ok(families, 'every asked parent is answered');
  return Object.fromEntries([...families].sort());
}

export const namesOf = async (store: Store, room: string, family: string): Promise<string[]> =>
  (await store.family(room, family, { limit: ALL })).keys.map(([name]) => name);

/** The keys of the rooms that somebody has tickets for. */
export const ticketsOf = async (store: Store, holder: string): Promise<string[]> =>
  (await store.tickets(holder, ALL)).map(({ room, key }) => `${room} ${key}`);

export const seqsOf = (entries: { seq: number }[]): number[] => entries.map(({ seq }) => seq);

export const textsOf = (entries: Entry[]): unknown[] => entries.map(({ body }) => body?.text);

export const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

export const times = <Result>(count: number, make: (index: number) => Result): Result[] =>
  Array.from({ length: count }, (_, index) => make(index));

export const byBytes = (names: string[]): string[] => names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

export async function walkFamily(store: Store, room: string, family: string, limit: number): Promise<string[]> {
  const names: string[] = [];
  for (let more = true; more; ) {
    const page = await store.family(room, family, { limit, ...(names.length > 0 && { after: names.at(-1) }) });
    assert.ok(page.keys.length === limit || !page.more, 'a page with more to come is full');
    assert.ok(page.keys.length > 0, 'there was more');
    names.push(...page.keys.map(([name]) => name));
    more = page.more;
  }
  return names;
}

/** All parts of a room, as they travel: as JSON. */
export async function packAll(store: Store, room: string): Promise<Parcel[]> {
  const parcels: Parcel[] = [];
  for (let next: string | null = null; parcels.length === 0 || next !== null; next = parcels.at(-1)?.next ?? null) {
    const parcel = await store.pack(room, next);
    assert.ok(parcel, `a part of ${JSON.stringify(room)}`);
    parcels.push(JSON.parse(JSON.stringify(parcel)) as Parcel);
  }
  return parcels;
}

export async function walkRooms(store: Store, limit: number): Promise<string[]> {
  const names: string[] = [];
  for (let more = true; more; ) {
    const page = await listRooms(store, { limit, ...(names.length > 0 && { after: names.at(-1) }) });
    assert.ok(page.rooms.length === limit || !page.more, 'a page with more to come is full');
    assert.ok(page.rooms.length > 0, 'there was more');
    names.push(...page.rooms.map(({ room }) => room));
    more = page.more;
  }
  return names;
}
