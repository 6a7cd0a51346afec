/** Builds the result of resuming one room: the missed entries, or a snapshot if those cannot be sent. */
import { ChatError, LIMITS, type MissedEntry, type RequestPayload, type ResumeResult } from '@engawa/protocol';
import type { Entry, Store } from '../store/contract.ts';
import { readChatPage } from './chat-pages.ts';
import { broadcastIdOf, type ReplayPage, type ReplayQuery } from './entry-payloads.ts';
import { describeMembership } from './members.ts';
import { jsonByteLength, MAX_CHAT_BYTES, type ResponseBudget } from './response-budget.ts';

export type ClientPosition = RequestPayload<'resume:rooms'>['rooms'][number];
/** The position of a client in a room. */
type LogPosition = Omit<ClientPosition, 'username'>;

/** Bytes that must remain before a room is begun: any two entries, and the other fields of its result. */
const MIN_ROOM_BYTES = 2 * LIMITS.frameBytes + MAX_CHAT_BYTES;

/** Rounding step of the byte limit. A room for which there is space gets at least one step. */
const PAGE_ROUNDING_BYTES = 128 * 1024;

interface ResumeOptions {
  store: Store;
  position: ClientPosition;
  /** The author that resumes. */
  author: string;
  /** The entry at the client's position, and the entries after it. */
  page: ReplayPage;
  /** Connected members of the room. */
  online: number;
  budget: ResponseBudget;
}

/** Whether enough bytes remain for the result of one room. */
export const hasSpaceForRoom = (budget: ResponseBudget): boolean => budget.hasBytes(MIN_ROOM_BYTES);

/** The result of a room for which there is no space: the client asks again, from the same position. */
export const toDeferredResult = ({ roomId, epoch, seq, id }: ClientPosition): ResumeResult => ({
  outcome: 'more',
  roomId,
  epoch,
  seq,
  id: id ?? null,
  entries: [],
});

/**
 * The query of the page that `collectMissed` reads. Its byte limit is rounded, so that thousands of clients that return at the
 * same time request the same page, however much of their budgets remains.
 */
export const resumePageQuery = ({ seq }: LogPosition, limit: number, { remaining }: ResponseBudget): ReplayQuery => ({
  after: Math.max(seq - 1, 0),
  limit: limit + 1,
  bytes: Math.max(Math.floor(remaining / PAGE_ROUNDING_BYTES), 1) * PAGE_ROUNDING_BYTES,
});

/**
 * Returns the entries that a member missed, or a snapshot if those cannot be sent. The connection must already receive the room's
 * broadcasts.
 */
export async function buildResumeResult(options: ResumeOptions): Promise<ResumeResult> {
  const result = collectMissed(options.page, options.position, options.budget);
  return 'entries' in result ? result : buildResetResult(options, result);
}

type MissedResult = Omit<Extract<ResumeResult, { entries: unknown }>, 'counts'>;
type ResetReason = { outcome: 'reset' } | { outcome: 'too_old'; oldest: number };

/** Returns the entries of a page after the client's position, as many as fit; or the reason why the client must reset. */
export function collectMissed(page: ReplayPage, clientPosition: LogPosition, budget: ResponseBudget): MissedResult | ResetReason {
  const { epoch, oldest, entries } = page;
  const position = toBroadcastPosition(clientPosition, entries[0]?.entry);
  if (epoch === null) throw new ChatError('room_not_found');
  if (!isOnSameLog(position, page)) return { outcome: 'reset' };
  if (position.seq + 1 < oldest) return { outcome: 'too_old', oldest };
  const newer = entries.filter(({ entry }) => entry.seq > position.seq);
  const fitting = budget.takeFitting(newer, ({ bytes }) => bytes);
  const isComplete = !page.hasMore && fitting.length === newer.length;
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

/** Normalizes the position by the entry at its seq, if the page begins with it. */
const toBroadcastPosition = (position: LogPosition, first: Entry | undefined): LogPosition =>
  position.id && first?.seq === position.seq ? { ...position, id: broadcastIdOf(first, position.id) } : position;

/** Whether the client's position can be on this log. A position without the id of its last entry is accepted. */
function isOnSameLog(position: LogPosition, { epoch, head, entries }: ReplayPage): boolean {
  const first = entries[0]?.entry;
  if (position.epoch !== epoch || position.seq > head) return false;
  if (position.id === undefined || position.id === null || first === undefined) return true;
  if (first.seq === position.seq) return (first.quiet ? first.prev : first.id) === position.id;
  return first.seq !== position.seq + 1 || first.prev === position.id;
}

/** Everything that a join would return. The client gets it here, so that it need not join again. */
async function buildResetResult(
  { store, position: { roomId, username }, author, online, budget }: ResumeOptions,
  reason: ResetReason,
): Promise<ResumeResult> {
  const request = { roomId, limit: LIMITS.pageDefault };
  const { epoch, seq, lastId, ...page } = await readChatPage(store, request, { author, budget });
  const membership = await describeMembership(store, roomId, { username, author, budget });
  budget.take(jsonByteLength(membership));
  return { ...reason, roomId, epoch, seq, id: lastId, ...membership, online, page };
}
