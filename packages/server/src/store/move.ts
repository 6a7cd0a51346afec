/** Moves rooms from one store to another one, of whatever engines, by the contract alone. */
import { createHash, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type Page, type Parcel, type RoomHead, type Store, StoreError } from './store.ts';

export interface Ways {
  source: Store;
  target: Store;
}

export interface Survey {
  rooms: number;
  entries: number;
  /** How many of the rooms are in the target already, whole or not. */
  there: number;
  /** Rooms that only the target has. They stay. */
  others: Several<string>;
  /** Rooms that cannot be moved: what the target has under their names is not of this source, or has gone on since. */
  obstacles: Several<{ room: string; why: 'another life' | 'went on' }>;
}

export interface Moved {
  moved: number;
  /** Rooms that were there already, whole and equal. */
  passed: number;
  entries: number;
}

export interface Compared {
  equal: number;
  entries: number;
  /** Rooms that are not the same in both, and in what. */
  differing: Several<{ room: string; what: Differing[] }>;
}

/** What a room may differ in. */
type Differing = 'head' | 'entries' | 'keys' | 'tickets' | 'named appends';

/** Things of which there may be any number: how many, and the first few. */
interface Several<Thing> {
  count: number;
  few: Thing[];
}

/** Rooms that are under way at once: their parts share the target's waits for its disk. */
const ROOMS_AT_ONCE = 16;
const FEW = 20;
/** Tickets that run out so soon are not compared: one side may have let go of them, and the other not yet. */
const SOON_MS = 3_600_000;

/** What moving would be. Writes nothing. */
export async function survey({ source, target }: Ways): Promise<Survey> {
  const found: Survey = { rooms: 0, entries: 0, there: 0, others: none(), obstacles: none() };
  await eachRoom(source, async (head) => {
    found.rooms += 1;
    found.entries += head.head;
    const there = await target.page(head.room, { limit: 1 });
    if (there.epoch === null) return;
    found.there += 1;
    const why = await obstacleTo(head, there, source);
    if (why) note(found.obstacles, { room: head.room, why });
  });
  await eachRoom(target, async ({ room }) => {
    if ((await source.read(room, {})).epoch === null) note(found.others, room);
  });
  return found;
}

/**
 * Puts every room of the source into the target. What is there already, whole and equal, is passed over, so that a move
 * that was interrupted goes on when it is asked for again. For stores that nobody writes to meanwhile, and a target in
 * which the survey found no obstacles: what is there of a room and not equal is a part of it, and is put anew.
 */
export async function moveRooms(ways: Ways, onProgress: (moved: Moved) => void): Promise<Moved> {
  const done: Moved = { moved: 0, passed: 0, entries: 0 };
  await eachRoom(ways.source, async ({ room }) => {
    if (await isThere(ways, room)) done.passed += 1;
    else {
      await putAnew(ways, room, (entries) => {
        done.entries += entries;
        onProgress(done);
      });
      done.moved += 1;
    }
    onProgress(done);
  });
  return done;
}

/** Packs every room of the source on both sides, and compares what comes. */
export async function compareRooms(ways: Ways, onProgress: (compared: Compared) => void): Promise<Compared> {
  const done: Compared = { equal: 0, entries: 0, differing: none() };
  await eachRoom(ways.source, async ({ room }) => {
    const what = await differencesOf(ways, room, (entries) => {
      done.entries += entries;
      onProgress(done);
    });
    if (what.length === 0) done.equal += 1;
    else note(done.differing, { room, what });
    onProgress(done);
  });
  return done;
}

async function eachRoom(store: Store, run: (head: RoomHead) => Promise<void>): Promise<void> {
  let last: string | undefined;
  for (let more = true; more; ) {
    const page = await store.rooms({ limit: ROOMS_AT_ONCE, ...(last !== undefined && { after: last }) });
    await Promise.all(page.rooms.map(run));
    last = page.rooms.at(-1)?.room;
    more = page.more;
  }
}

/** The newest entry that the target has must be an entry of the source, and nothing may come behind it there. */
async function obstacleTo({ room, epoch, head }: RoomHead, there: Page, source: Store): Promise<'another life' | 'went on' | undefined> {
  if (there.epoch !== epoch) return 'another life';
  if (there.head > head) return 'went on';
  const [newest] = there.entries;
  if (!newest) return undefined;
  const here = await source.page(room, { after: newest.seq - 1, limit: 1 });
  return newest.seq >= here.oldest && here.entries[0]?.id !== newest.id ? 'went on' : undefined;
}

async function isThere(ways: Ways, room: string): Promise<boolean> {
  const { epoch } = await ways.target.read(room, {});
  return epoch !== null && (await differencesOf(ways, room)).length === 0;
}

async function putAnew({ source, target }: Ways, room: string, onEntries: (count: number) => void): Promise<void> {
  await endRoom(target, room);
  let last: Parcel | undefined;
  for await (const parcel of partsOf(source, room)) {
    if (last && last.head.epoch !== parcel.head.epoch) break;
    await target.unpack(parcel);
    onEntries(parcel.entries.length);
    last = parcel;
  }
  // It ended while it was on its way: half a room is nobody's.
  if (last?.next !== null) await endRoom(target, room);
}

async function endRoom(store: Store, room: string): Promise<void> {
  const { epoch } = await store.read(room, {});
  if (epoch === null) return;
  const last = { id: randomUUID(), by: 'move', author: 'move', kind: 'ends', body: {}, ends: true };
  const { outcome } = await store.append(room, { epoch, given: [], drafts: [last] });
  if (outcome === 'stale') throw new StoreError('failed', `Somebody writes to the room ${JSON.stringify(room)} in the target meanwhile.`);
}

async function* partsOf(store: Store, room: string): AsyncGenerator<Parcel> {
  let parcel = await store.pack(room, null);
  while (parcel) {
    yield parcel;
    parcel = parcel.next === null ? null : await store.pack(room, parcel.next);
  }
}

/** The source may have forgotten appends that the target has just been told of, never the other way round. */
async function differencesOf({ source, target }: Ways, room: string, onEntries: (count: number) => void = () => {}): Promise<Differing[]> {
  const soon = Date.now() + SOON_MS;
  let isNamed = true;
  const here = new Fingerprint(soon);
  for await (const parcel of partsOf(source, room)) {
    here.add(parcel);
    isNamed &&= await remembers(target, parcel);
    onEntries(parcel.entries.length);
  }
  const there = new Fingerprint(soon);
  for await (const parcel of partsOf(target, room)) there.add(parcel);
  const sections = (['head', 'entries', 'keys', 'tickets'] as const).filter((each) => !isDeepStrictEqual(here[each], there[each]));
  return isNamed ? sections : [...sections, 'named appends'];
}

async function remembers(store: Store, { room, onces }: Parcel): Promise<boolean> {
  const kept = await Promise.all(onces.map(([once]) => store.recall(room, once)));
  return onces.every(([, first, count], index) => kept[index]?.entries[0]?.seq === first && kept[index].entries.length === count);
}

/** What a room holds, in little space: the same for the same items, in whatever order and parts they come. */
class Fingerprint {
  head: Parcel['head'] | undefined;
  entries = 0n;
  keys = 0n;
  tickets = 0n;
  readonly #soon: number;

  constructor(soon: number) {
    this.#soon = soon;
  }

  add({ head, entries, keys, tickets }: Parcel): void {
    this.head = head;
    for (const entry of entries) this.entries += hashOf(entry);
    for (const key of keys) this.keys += hashOf(key);
    for (const ticket of tickets) if ((ticket.until ?? Infinity) > this.#soon) this.tickets += hashOf(ticket);
  }
}

const hashOf = (item: unknown): bigint => BigInt(`0x${createHash('sha256').update(JSON.stringify(item, inOrder)).digest('hex')}`);

/** Names of an object in one order: that in which an engine keeps them says nothing. */
function inOrder(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const none = <Thing>(): Several<Thing> => ({ count: 0, few: [] });

function note<Thing>(several: Several<Thing>, thing: Thing): void {
  several.count += 1;
  if (several.few.length < FEW) several.few.push(thing);
}
