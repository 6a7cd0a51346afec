import { ChatError, LIMITS, type MissedEntry, type RequestPayload, type ResumeResult } from '@engawa/protocol';
import type { Entry, Store } from '../store/contract.ts';
import { readChatPage } from './chat-pages.ts';
import { broadcastIdOf, type ReplayPage, type ReplayQuery } from './entry-payloads.ts';
import { describeMembership } from './members.ts';
import { jsonByteLength, MAX_CHAT_BYTES, type ResponseBudget } from './response-budget.ts';

export type ClientPosition = RequestPayload<'resume:rooms'>['rooms'][number];
/** What somebody has of a room. */
type LogPosition = Omit<ClientPosition, 'username'>;

/** What a room must have left of an answer to be begun: any two entries, and all that is said beside them. */
const MIN_ROOM_BYTES = 2 * LIMITS.frameBytes + MAX_CHAT_BYTES;

/** A room that has a place has one step at least. */
const PAGE_ROUNDING_BYTES = 128 * 1024;

interface ResumeOptions {
  store: Store;
  position: ClientPosition;
  /** Who asks. */
  author: string;
  /** The entry that the asker has, and what comes after it. */
  page: ReplayPage;
  /** How many members are connected. */
  online: number;
  budget: ResponseBudget;
}

/** Whether there are bytes left for what a room may have to say. */
export const hasSpaceForRoom = (budget: ResponseBudget): boolean => budget.hasBytes(MIN_ROOM_BYTES);

/** For a room that has no place in the answer: the client asks again, from where it is. */
export const toDeferredResult = ({ roomId, epoch, seq, id }: ClientPosition): ResumeResult => ({
  outcome: 'more',
  roomId,
  epoch,
  seq,
  id: id ?? null,
  entries: [],
});

/**
 * The page of the log that `resumed` decides on. Its bytes are rounded: thousands who come back at once ask for the same
 * page then, whatever is left of their answers.
 */
export const resumePageQuery = ({ seq }: LogPosition, limit: number, { remaining }: ResponseBudget): ReplayQuery => ({
  after: Math.max(seq - 1, 0),
  limit: limit + 1,
  bytes: Math.max(Math.floor(remaining / PAGE_ROUNDING_BYTES), 1) * PAGE_ROUNDING_BYTES,
});

/** What a member who was away missed, or why that cannot be told. He hears the room already. */
export async function buildResumeResult(options: ResumeOptions): Promise<ResumeResult> {
  const result = collectMissed(options.page, options.position, options.budget);
  return 'entries' in result ? result : buildResetResult(options, result);
}

type MissedResult = Omit<Extract<ResumeResult, { entries: unknown }>, 'counted'>;
type ResetReason = { outcome: 'reset' } | { outcome: 'too_old'; oldest: number };

/** What a page of the log says to somebody who has this of it, as much as there are bytes left for; or why they are to begin anew. */
export function collectMissed(page: ReplayPage, clientPosition: LogPosition, budget: ResponseBudget): MissedResult | ResetReason {
  const { epoch, oldest, entries } = page;
  const position = toBroadcastPosition(clientPosition, entries[0]?.entry);
  if (epoch === null) throw new ChatError('room_not_found');
  if (!isOnSameLog(position, page)) return { outcome: 'reset' };
  if (position.seq + 1 < oldest) return { outcome: 'too_old', oldest };
  const newer = entries.filter(({ entry }) => entry.seq > position.seq);
  const fitting = budget.takeFitting(newer, ({ bytes }) => bytes);
  const isComplete = !page.more && fitting.length === newer.length;
  return {
    outcome: isComplete ? 'caught_up' : 'more',
    roomId: position.roomId,
    epoch,
    seq: fitting.at(-1)?.entry.seq ?? position.seq,
    id: fitting.findLast(({ payload }) => payload)?.entry.id ?? position.id ?? newer[0]?.entry.prev ?? null,
    entries: fitting.flatMap(({ payload }): MissedEntry[] => (payload ? [payload] : [])),
    ...(!isComplete && { head: page.head }),
  };
}

/** By the entry at its seq, when the page begins with that. */
const toBroadcastPosition = (position: LogPosition, first: Entry | undefined): LogPosition =>
  position.id && first?.seq === position.seq ? { ...position, id: broadcastIdOf(first, position.id) } : position;

/** Whether what the asker has can be of this log. Somebody who does not know the id of his last entry is believed. */
function isOnSameLog(position: LogPosition, { epoch, head, entries }: ReplayPage): boolean {
  const first = entries[0]?.entry;
  if (position.epoch !== epoch || position.seq > head) return false;
  if (position.id === undefined || position.id === null || first === undefined) return true;
  if (first.seq === position.seq) return (first.quiet ? first.prev : first.id) === position.id;
  return first.seq !== position.seq + 1 || first.prev === position.id;
}

/** All that he would learn if he joined now. He is told it here: to find it out he need not ask to be a member. */
async function buildResetResult(
  { store, position: { roomId, username }, author, online, budget }: ResumeOptions,
  reason: ResetReason,
): Promise<ResumeResult> {
  const request = { roomId, limit: LIMITS.pageDefault };
  const { epoch, seq, tail, ...page } = await readChatPage(store, request, { author, budget });
  const membership = await describeMembership(store, roomId, { username, author, budget });
  budget.take(jsonByteLength(membership));
  return { ...reason, roomId, epoch, seq, id: tail, ...membership, online, page };
}
