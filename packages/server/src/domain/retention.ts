/** Plans what a retention policy trims from the log of a room. */
import type { Retention } from '@engawa/protocol';
import type { Entry, RoomFacts, Store } from '../store/contract.ts';
import { type RoomSettings, settingsKey } from './room-keys.ts';

/** Entries of one page when the log is read in order. */
const PAGE_ENTRIES = 500;
/** Entries of one read of the binary search. */
const PROBES_PER_READ = 16;

/**
 * What a policy trims, from one snapshot of the log: the entries from `oldest` on and below `keepFrom`.
 *
 * - `maxCount` n: the newest n entries stay, of whatever kind, and no others.
 * - `maxAge`: an entry is trimmed once it is older than that by the store's clock, which also wrote its `at`.
 * - `maxBytes` n: the oldest entries are trimmed, one by one, until all bodies together have at most n bytes.
 *
 * If there are several limits, each is evaluated separately, and the one that trims most applies. So a whole log may be trimmed
 * if all of it is too old, or its last entry is too large. Changes during the reads can only reduce what is trimmed; the next
 * plan trims the rest.
 */
export interface TrimPlan {
  epoch: string;
  oldest: number;
  keepFrom: number;
  head: number;
  /** Total size of all bodies of the log. */
  bytes: number;
  /** Milliseconds until more is to be trimmed even if nothing is added; 0 if something is to be trimmed now. */
  validForMs: number;
}

export const hasLimit = (policy: Retention): boolean => Object.values(policy).some((limit) => limit !== undefined);

/** The effective retention of a room: the limits of the operator and of its owner combined. */
export const readEffectiveRetention = async (store: Store, room: string, bounds: Retention): Promise<Retention> =>
  effectiveRetention(await store.read(room, { keys: [settingsKey] }), bounds);

/** The same, from facts that include the room's settings. */
export function effectiveRetention({ keys }: Pick<RoomFacts, 'keys'>, bounds: Retention): Retention {
  const settings = keys.get(settingsKey)?.value as RoomSettings | undefined;
  return strictest(bounds, settings?.retention ?? {});
}

/**
 * Returns null if the room does not exist or gets a new epoch during the reads. Reads one page; for `maxAge` also a number of
 * entries logarithmic in what is trimmed; for `maxBytes` all that is trimmed. The plan trims at most `limit` entries.
 */
export async function planTrim(store: Store, room: string, policy: Retention, limit = Infinity): Promise<TrimPlan | null> {
  const { epoch, head, oldest, bytes, now, entries } = await store.readPage(room, { after: 0, limit: 1 });
  if (epoch === null) return null;
  const log: LogSnapshot = { store, room, epoch, oldest, end: Math.min(head + 1, oldest + limit) };
  const { maxAge, maxCount, maxBytes } = policy;
  const oldestEntry = entries[0];
  const byCount = maxCount === undefined ? oldest : head + 1 - maxCount;
  const byAge = maxAge === undefined || !oldestEntry || now - oldestEntry.at <= maxAge ? oldest : await findFirstSince(log, now - maxAge);
  const byBytes = maxBytes === undefined || bytes <= maxBytes ? oldest : await findFirstWithinBytes(log, maxBytes);
  if (byAge === null || byBytes === null) return null;
  const keepFrom = Math.min(Math.max(oldest, byCount, byAge, byBytes), log.end);
  const validForMs = keepFrom > oldest ? 0 : maxAge === undefined || !oldestEntry ? Infinity : oldestEntry.at + maxAge + 1 - now;
  return { epoch, oldest, keepFrom, head, bytes, validForMs };
}

/** Combines two policies: the stricter of each limit. */
function strictest(one: Retention, other: Retention): Retention {
  const minimum = (a = Infinity, b = Infinity) => (Math.min(a, b) === Infinity ? undefined : Math.min(a, b));
  return {
    maxAge: minimum(one.maxAge, other.maxAge),
    maxCount: minimum(one.maxCount, other.maxCount),
    maxBytes: minimum(one.maxBytes, other.maxBytes),
  };
}

export const sleep = (milliseconds = 0): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

export const bodyBytes = ({ body }: Entry): number => (body === null ? 0 : Buffer.byteLength(JSON.stringify(body)));

/** A log as it was when planning began. */
interface LogSnapshot {
  store: Store;
  room: string;
  epoch: string;
  oldest: number;
  /** Only entries below this seq are considered. */
  end: number;
}

/** The first entry whose time is not before `since`. `at` never decreases within a room. */
async function findFirstSince({ store, room, epoch, oldest, end }: LogSnapshot, since: number): Promise<number | null> {
  // The oldest entry is known to be before `since`.
  let [before, after] = [oldest, end];
  while (after - before > 1) {
    const step = Math.max(1, Math.ceil((after - before) / (PROBES_PER_READ + 1)));
    const seqs = Array.from({ length: PROBES_PER_READ }, (_, index) => before + step * (index + 1)).filter((seq) => seq < after);
    const facts = await store.read(room, { seqs });
    if (facts.epoch !== epoch) return null;
    // A missing entry was trimmed by another node.
    const isBefore = (seq: number): boolean => (facts.entries.get(seq)?.at ?? -Infinity) < since;
    const first = seqs.find((seq) => !isBefore(seq));
    before = seqs.findLast(isBefore) ?? before;
    after = first ?? after;
  }
  return after;
}

/** The first of the newest entries that together have at most this many bytes. */
async function findFirstWithinBytes({ store, room, epoch, oldest, end }: LogSnapshot, maxBytes: number): Promise<number | null> {
  let seq = oldest;
  let passedBytes = 0;
  for (;;) {
    const page = await store.readPage(room, { after: seq - 1, limit: PAGE_ENTRIES });
    if (page.epoch !== epoch) return null;
    for (const entry of page.entries) {
      // Entries that were passed may be erased or trimmed by now: then less is trimmed than possible.
      if (page.bytes - passedBytes <= maxBytes || seq >= end) return seq;
      passedBytes += bodyBytes(entry);
      seq = entry.seq + 1;
    }
    if (!page.hasMore) return seq;
    await sleep();
  }
}
