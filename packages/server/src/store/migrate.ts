/** Copies rooms from one store to another and compares both, using the contract only. */
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
  /** Rooms that exist in the target already, complete or not. */
  alreadyInTarget: number;
  /** Rooms that only the target has. They stay. */
  onlyInTarget: CountedSample<string>;
  /** Rooms that cannot be moved: the room of the same name in the target is a different one, or has newer entries. */
  conflicts: CountedSample<{ room: string; reason: 'different epoch' | 'diverged' }>;
}

export interface MigrationProgress {
  moved: number;
  /** Rooms that existed in the target, complete and equal. */
  skipped: number;
  entries: number;
}

export interface Comparison {
  equal: number;
  entries: number;
  /** Rooms that differ, and the sections that differ. */
  differences: CountedSample<{ room: string; sections: DifferingSection[] }>;
}

/** The parts of a room that may differ. */
type DifferingSection = 'head' | 'entries' | 'keys' | 'tickets' | 'idempotency keys';

/** The number of items, and the first few of them. */
interface CountedSample<Item> {
  count: number;
  samples: Item[];
}

/** Rooms that are copied concurrently: their chunks share the fsyncs of the target. */
const CONCURRENT_ROOMS = 16;
const MAX_SAMPLES = 20;
/** Tickets that expire this soon are not compared: one store may have removed them already. */
const EXPIRING_TICKET_MARGIN_MS = 3_600_000;

/** Plans a migration. Writes nothing. */
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
 * Copies every room of the source into the target. Rooms that exist there, complete and equal, are skipped, so that an
 * interrupted migration can be run again. No server may use either store meanwhile, and the plan must have no conflicts: then a
 * room that differs is an incomplete copy, and is copied again.
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

/** Exports every room of the source from both stores, and compares the chunks. */
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
  for (let hasMore = true; hasMore; ) {
    const page = await store.listRooms({ limit: CONCURRENT_ROOMS, ...(last !== undefined && { after: last }) });
    await Promise.all(page.rooms.map(handle));
    last = page.rooms.at(-1)?.room;
    hasMore = page.hasMore;
  }
}

/** The newest entry of the target must be an entry of the source, and the target must have no entries after it. */
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
  // The room ended during the copy: an incomplete copy is removed.
  if (lastChunk?.next !== null) await endRoom(target, room);
}

async function endRoom(store: Store, room: string): Promise<void> {
  const { epoch } = await store.read(room, {});
  if (epoch === null) return;
  const last = { id: randomUUID(), by: 'move', author: 'move', kind: 'ends', body: {}, endsRoom: true };
  const { outcome } = await store.append(room, { epoch, expectedVersions: [], drafts: [last] });
  if (outcome === 'stale')
    throw new StoreError(
      'failed',
      `The room ${JSON.stringify(room)} in the target changes during the move: stop every server that uses it.`,
    );
}

async function* chunksOf(store: Store, room: string): AsyncGenerator<RoomChunk> {
  let chunk = await store.exportChunk(room, null);
  while (chunk) {
    yield chunk;
    chunk = chunk.next === null ? null : await store.exportChunk(room, chunk.next);
  }
}

/** The source may have dropped idempotency keys that the target has just stored, but not the reverse. */
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
  return hasSameIdempotencyKeys ? sections : [...sections, 'idempotency keys'];
}

async function hasIdempotencyKeys(store: Store, { room, idempotencyKeys }: RoomChunk): Promise<boolean> {
  const receipts = await Promise.all(idempotencyKeys.map(([once]) => store.findByIdempotencyKey(room, once)));
  return idempotencyKeys.every(
    ([, first, count], index) => receipts[index]?.entries[0]?.seq === first && receipts[index].entries.length === count,
  );
}

/** A compact digest of the content of a room: equal for the same items, whatever their order and chunks. */
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

/** Sorts the properties of an object: their order depends on the engine. */
function sortProperties(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const emptySample = <Item>(): CountedSample<Item> => ({ count: 0, samples: [] });

function addToSample<Item>(sample: CountedSample<Item>, item: Item): void {
  sample.count += 1;
  if (sample.samples.length < MAX_SAMPLES) sample.samples.push(item);
}
