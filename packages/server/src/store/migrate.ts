/** Moves rooms from one store to another one, of whatever engines, by the contract alone. */
import { createHash, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type Page, type RoomChunk, type RoomHead, type Store, StoreError } from './contract.ts';

export interface StorePair {
  source: Store;
  target: Store;
}

export interface MigrationPlan {
  rooms: number;
  entries: number;
  /** How many of the rooms are in the target already, whole or not. */
  alreadyInTarget: number;
  /** Rooms that only the target has. They stay. */
  onlyInTarget: CountedSample<string>;
  /** Rooms that cannot be moved: what the target has under their names is not of this source, or has gone on since. */
  conflicts: CountedSample<{ room: string; reason: 'different epoch' | 'diverged' }>;
}

export interface MigrationProgress {
  moved: number;
  /** Rooms that were there already, whole and equal. */
  skipped: number;
  entries: number;
}

export interface Comparison {
  equal: number;
  entries: number;
  /** Rooms that are not the same in both, and in what. */
  differences: CountedSample<{ room: string; sections: DifferingSection[] }>;
}

/** What a room may differ in. */
type DifferingSection = 'head' | 'entries' | 'keys' | 'tickets' | 'named appends';

/** Things of which there may be any number: how many, and the first few. */
interface CountedSample<Item> {
  count: number;
  samples: Item[];
}

/** Rooms that are under way at once: their parts share the target's waits for its disk. */
const CONCURRENT_ROOMS = 16;
const MAX_SAMPLES = 20;
/** Tickets that run out so soon are not compared: one side may have let go of them, and the other not yet. */
const EXPIRING_TICKET_MARGIN_MS = 3_600_000;

/** What moving would be. Writes nothing. */
export async function planMigration({ source, target }: StorePair): Promise<MigrationPlan> {
  const plan: MigrationPlan = { rooms: 0, entries: 0, alreadyInTarget: 0, onlyInTarget: emptySample(), conflicts: emptySample() };
  await forEachRoom(source, async (head) => {
    plan.rooms += 1;
    plan.entries += head.head;
    const targetPage = await target.readPage(head.room, { limit: 1 });
    if (targetPage.epoch === null) return;
    plan.alreadyInTarget += 1;
    const reason = await findConflict(head, targetPage, source);
    if (reason) addToSample(plan.conflicts, { room: head.room, reason });
  });
  await forEachRoom(target, async ({ room }) => {
    if ((await source.read(room, {})).epoch === null) addToSample(plan.onlyInTarget, room);
  });
  return plan;
}

/**
 * Puts every room of the source into the target. What is there already, whole and equal, is passed over, so that a move
 * that was interrupted goes on when it is asked for again. For stores that nobody writes to meanwhile, and a target in
 * which the survey found no obstacles: what is there of a room and not equal is a part of it, and is put anew.
 */
export async function migrateRooms(stores: StorePair, onProgress: (progress: MigrationProgress) => void): Promise<MigrationProgress> {
  const progress: MigrationProgress = { moved: 0, skipped: 0, entries: 0 };
  await forEachRoom(stores.source, async ({ room }) => {
    if (await isMigrated(stores, room)) progress.skipped += 1;
    else {
      await copyRoom(stores, room, (entries) => {
        progress.entries += entries;
        onProgress(progress);
      });
      progress.moved += 1;
    }
    onProgress(progress);
  });
  return progress;
}

/** Packs every room of the source on both sides, and compares what comes. */
export async function compareRooms(stores: StorePair, onProgress: (comparison: Comparison) => void): Promise<Comparison> {
  const comparison: Comparison = { equal: 0, entries: 0, differences: emptySample() };
  await forEachRoom(stores.source, async ({ room }) => {
    const sections = await findDifferences(stores, room, (entries) => {
      comparison.entries += entries;
      onProgress(comparison);
    });
    if (sections.length === 0) comparison.equal += 1;
    else addToSample(comparison.differences, { room, sections });
    onProgress(comparison);
  });
  return comparison;
}

async function forEachRoom(store: Store, handle: (head: RoomHead) => Promise<void>): Promise<void> {
  let last: string | undefined;
  for (let more = true; more; ) {
    const page = await store.listRooms({ limit: CONCURRENT_ROOMS, ...(last !== undefined && { after: last }) });
    await Promise.all(page.rooms.map(handle));
    last = page.rooms.at(-1)?.room;
    more = page.more;
  }
}

/** The newest entry that the target has must be an entry of the source, and nothing may come behind it there. */
async function findConflict(
  { room, epoch, head }: RoomHead,
  targetPage: Page,
  source: Store,
): Promise<'different epoch' | 'diverged' | undefined> {
  if (targetPage.epoch !== epoch) return 'different epoch';
  if (targetPage.head > head) return 'diverged';
  const [newest] = targetPage.entries;
  if (!newest) return undefined;
  const sourcePage = await source.readPage(room, { after: newest.seq - 1, limit: 1 });
  return newest.seq >= sourcePage.oldest && sourcePage.entries[0]?.id !== newest.id ? 'diverged' : undefined;
}

async function isMigrated(stores: StorePair, room: string): Promise<boolean> {
  const { epoch } = await stores.target.read(room, {});
  return epoch !== null && (await findDifferences(stores, room)).length === 0;
}

async function copyRoom({ source, target }: StorePair, room: string, onEntries: (count: number) => void): Promise<void> {
  await endRoom(target, room);
  let lastChunk: RoomChunk | undefined;
  for await (const chunk of chunksOf(source, room)) {
    if (lastChunk && lastChunk.head.epoch !== chunk.head.epoch) break;
    await target.importChunk(chunk);
    onEntries(chunk.entries.length);
    lastChunk = chunk;
  }
  // It ended while it was on its way: half a room is nobody's.
  if (lastChunk?.next !== null) await endRoom(target, room);
}

async function endRoom(store: Store, room: string): Promise<void> {
  const { epoch } = await store.read(room, {});
  if (epoch === null) return;
  const last = { id: randomUUID(), by: 'move', author: 'move', kind: 'ends', body: {}, endsRoom: true };
  const { outcome } = await store.append(room, { epoch, expectedVersions: [], drafts: [last] });
  if (outcome === 'stale') throw new StoreError('failed', `Somebody writes to the room ${JSON.stringify(room)} in the target meanwhile.`);
}

async function* chunksOf(store: Store, room: string): AsyncGenerator<RoomChunk> {
  let chunk = await store.exportChunk(room, null);
  while (chunk) {
    yield chunk;
    chunk = chunk.next === null ? null : await store.exportChunk(room, chunk.next);
  }
}

/** The source may have forgotten appends that the target has just been told of, never the other way round. */
async function findDifferences(
  { source, target }: StorePair,
  room: string,
  onEntries: (count: number) => void = () => {},
): Promise<DifferingSection[]> {
  const expiryCutoff = Date.now() + EXPIRING_TICKET_MARGIN_MS;
  let hasSameIdempotencyKeys = true;
  const sourceFingerprint = new Fingerprint(expiryCutoff);
  for await (const chunk of chunksOf(source, room)) {
    sourceFingerprint.add(chunk);
    hasSameIdempotencyKeys &&= await hasIdempotencyKeys(target, chunk);
    onEntries(chunk.entries.length);
  }
  const targetFingerprint = new Fingerprint(expiryCutoff);
  for await (const chunk of chunksOf(target, room)) targetFingerprint.add(chunk);
  const sections = (['head', 'entries', 'keys', 'tickets'] as const).filter(
    (each) => !isDeepStrictEqual(sourceFingerprint[each], targetFingerprint[each]),
  );
  return hasSameIdempotencyKeys ? sections : [...sections, 'named appends'];
}

async function hasIdempotencyKeys(store: Store, { room, idempotencyKeys }: RoomChunk): Promise<boolean> {
  const receipts = await Promise.all(idempotencyKeys.map(([once]) => store.findByIdempotencyKey(room, once)));
  return idempotencyKeys.every(
    ([, first, count], index) => receipts[index]?.entries[0]?.seq === first && receipts[index].entries.length === count,
  );
}

/** What a room holds, in little space: the same for the same items, in whatever order and parts they come. */
class Fingerprint {
  head: RoomChunk['head'] | undefined;
  entries = 0n;
  keys = 0n;
  tickets = 0n;
  readonly #expiryCutoff: number;

  constructor(expiryCutoff: number) {
    this.#expiryCutoff = expiryCutoff;
  }

  add({ head, entries, keys, tickets }: RoomChunk): void {
    this.head = head;
    for (const entry of entries) this.entries += hashOf(entry);
    for (const key of keys) this.keys += hashOf(key);
    for (const ticket of tickets) if ((ticket.until ?? Infinity) > this.#expiryCutoff) this.tickets += hashOf(ticket);
  }
}

const hashOf = (item: unknown): bigint => BigInt(`0x${createHash('sha256').update(JSON.stringify(item, sortProperties)).digest('hex')}`);

/** Names of an object in one order: that in which an engine keeps them says nothing. */
function sortProperties(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const emptySample = <Item>(): CountedSample<Item> => ({ count: 0, samples: [] });

function addToSample<Item>(sample: CountedSample<Item>, item: Item): void {
  sample.count += 1;
  if (sample.samples.length < MAX_SAMPLES) sample.samples.push(item);
}
