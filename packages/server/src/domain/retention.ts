import type { Retention } from '@engawa/protocol';
import type { Entry, RoomFacts, Store } from '../store/contract.ts';
import { type RoomSettings, settingsKey } from './room-keys.ts';

/** Entries of one page, when the log is walked. */
const PAGE_ENTRIES = 500;
/** Entries that are looked at in one read, when the log is searched. */
const PROBES_PER_READ = 16;

/**
 * What a policy says of a log, by one moment's look at it: the entries from `oldest` on and below `stays` go.
 *
 * - `maxCount` n: the newest n entries stay, of whatever kind, and no other.
 * - `maxAge`: an entry goes once it is older than that by the store's own clock, which wrote its `at`; no younger one does.
 * - `maxBytes` n: the oldest go, one by one, until all bodies together have n bytes at most, and not one more.
 *
 * Of several, each is asked for itself, and the one that takes most is followed. So all of a log may go, when all of it is
 * too old, or what was said last is too large. What happens to the log while it is looked at makes less go, never more: the
 * next look takes the rest.
 */
export interface TrimPlan {
  epoch: string;
  oldest: number;
  keepFrom: number;
  head: number;
  /** Of all bodies that the log has. */
  bytes: number;
  /** Milliseconds until more goes though nothing is added; 0 when something goes now. */
  validForMs: number;
}

export const hasLimit = (policy: Retention): boolean => Object.values(policy).some((limit) => limit !== undefined);

/** What the operator and the owner of the room want to be kept of it. */
export const readEffectiveRetention = async (store: Store, room: string, bounds: Retention): Promise<Retention> =>
  effectiveRetention(await store.read(room, { keys: [settingsKey] }), bounds);

/** The same, of what was read with the room's settings. */
export function effectiveRetention({ keys }: Pick<RoomFacts, 'keys'>, bounds: Retention): Retention {
  const settings = keys.get(settingsKey)?.value as RoomSettings | undefined;
  return strictest(bounds, settings?.retention ?? {});
}

/**
 * Null where there is no room, or another one while it is looked at. Reads a page, for `maxAge` the logarithm of what goes,
 * for `maxBytes` what goes. Of what goes it names `limit` entries at most.
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

/** What is left when both are followed: the stricter of each limit. */
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

/** A log as it was when the judging began. */
interface LogSnapshot {
  store: Store;
  room: string;
  epoch: string;
  oldest: number;
  /** Judged are the entries below. */
  end: number;
}

/** The first entry that is not from before `since`: `at` never goes back inside a room. */
async function findFirstSince({ store, room, epoch, oldest, end }: LogSnapshot, since: number): Promise<number | null> {
  // The oldest is from before.
  let [before, after] = [oldest, end];
  while (after - before > 1) {
    const step = Math.max(1, Math.ceil((after - before) / (PROBES_PER_READ + 1)));
    const seqs = Array.from({ length: PROBES_PER_READ }, (_, index) => before + step * (index + 1)).filter((seq) => seq < after);
    const facts = await store.read(room, { seqs });
    if (facts.epoch !== epoch) return null;
    // What is not there any more was trimmed by another node.
    const isBefore = (seq: number): boolean => (facts.entries.get(seq)?.at ?? -Infinity) < since;
    const first = seqs.find((seq) => !isBefore(seq));
    before = seqs.findLast(isBefore) ?? before;
    after = first ?? after;
  }
  return after;
}

/** The first of the newest entries that together have so many bytes at most. */
async function findFirstWithinBytes({ store, room, epoch, oldest, end }: LogSnapshot, maxBytes: number): Promise<number | null> {
  let seq = oldest;
  let passedBytes = 0;
  for (;;) {
    const page = await store.readPage(room, { after: seq - 1, limit: PAGE_ENTRIES });
    if (page.epoch !== epoch) return null;
    for (const entry of page.entries) {
      // What was passed may be erased or trimmed by now: then less goes than could.
      if (page.bytes - passedBytes <= maxBytes || seq >= end) return seq;
      passedBytes += bodyBytes(entry);
      seq = entry.seq + 1;
    }
    if (!page.more) return seq;
    await sleep();
  }
}
