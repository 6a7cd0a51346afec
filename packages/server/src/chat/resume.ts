import { ChatError, LIMITS, type Missed, type Payload, type Resumed } from '@engawa/protocol';
import type { Entry, Store } from '../store/store.ts';
import { type AnswerBudget, CHAT_BYTES, jsonBytes } from './budget.ts';
import { chatsAsTheyStand } from './chat-pages.ts';
import { describeMembership } from './members.ts';
import { type AskAfter, type ToldPage, toldId } from './telling.ts';

export type Held = Payload<'resume:rooms'>['rooms'][number];
/** What somebody has of a room. */
type Having = Omit<Held, 'username'>;

/** What a room must have left of an answer to be begun: any two entries, and all that is said beside them. */
const ROOM_BYTES = 2 * LIMITS.frameBytes + CHAT_BYTES;

/** A room that has a place has one step at least. */
const PAGE_STEP_BYTES = 128 * 1024;

interface Resume {
  store: Store;
  held: Held;
  /** Who asks. */
  author: string;
  /** The entry that the asker has, and what comes after it. */
  page: ToldPage;
  /** How many members are connected. */
  online: number;
  budget: AnswerBudget;
}

/** Whether there are bytes left for what a room may have to say. */
export const hasPlace = (budget: AnswerBudget): boolean => budget.has(ROOM_BYTES);

/** For a room that has no place in the answer: the client asks again, from where it is. */
export const deferred = ({ roomId, epoch, seq, id }: Held): Resumed => ({
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
export const pageFor = ({ seq }: Having, limit: number, { left }: AnswerBudget): AskAfter => ({
  after: Math.max(seq - 1, 0),
  limit: limit + 1,
  bytes: Math.max(Math.floor(left / PAGE_STEP_BYTES), 1) * PAGE_STEP_BYTES,
});

/** What a member who was away missed, or why that cannot be told. He hears the room already. */
export async function resumed(resume: Resume): Promise<Resumed> {
  const missed = missedIn(resume.page, resume.held, resume.budget);
  return 'entries' in missed ? missed : startAnew(resume, missed);
}

type Missing = Omit<Extract<Resumed, { entries: unknown }>, 'counted'>;
type Why = { outcome: 'reset' } | { outcome: 'too_old'; oldest: number };

/** What a page of the log says to somebody who has this of it, as much as there are bytes left for; or why they are to begin anew. */
export function missedIn(page: ToldPage, having: Having, budget: AnswerBudget): Missing | Why {
  const { epoch, oldest, entries } = page;
  const held = asTold(having, entries[0]?.entry);
  if (epoch === null) throw new ChatError('room_not_found');
  if (!isOnLog(held, page)) return { outcome: 'reset' };
  if (held.seq + 1 < oldest) return { outcome: 'too_old', oldest };
  const after = entries.filter(({ entry }) => entry.seq > held.seq);
  const fitting = budget.fill(after, ({ bytes }) => bytes);
  const isWhole = !page.more && fitting.length === after.length;
  return {
    outcome: isWhole ? 'caught_up' : 'more',
    roomId: held.roomId,
    epoch,
    seq: fitting.at(-1)?.entry.seq ?? held.seq,
    id: fitting.findLast(({ told }) => told)?.entry.id ?? held.id ?? after[0]?.entry.prev ?? null,
    entries: fitting.flatMap(({ told }): Missed[] => (told ? [told] : [])),
    ...(!isWhole && { head: page.head }),
  };
}

/** By the entry at its seq, when the page begins with that. */
const asTold = (held: Having, first: Entry | undefined): Having =>
  held.id && first?.seq === held.seq ? { ...held, id: toldId(first, held.id) } : held;

/** Whether what the asker has can be of this log. Somebody who does not know the id of his last entry is believed. */
function isOnLog(held: Having, { epoch, head, entries }: ToldPage): boolean {
  const first = entries[0]?.entry;
  if (held.epoch !== epoch || held.seq > head) return false;
  if (held.id === undefined || held.id === null || first === undefined) return true;
  if (first.seq === held.seq) return (first.quiet ? first.prev : first.id) === held.id;
  return first.seq !== held.seq + 1 || first.prev === held.id;
}

/** All that he would learn if he joined now. He is told it here: to find it out he need not ask to be a member. */
async function startAnew({ store, held: { roomId, username }, author, online, budget }: Resume, why: Why): Promise<Resumed> {
  const ask = { roomId, limit: LIMITS.pageDefault };
  const { epoch, seq, tail, ...page } = await chatsAsTheyStand(store, ask, { author, budget });
  const membership = await describeMembership(store, roomId, { username, author, budget });
  budget.take(jsonBytes(membership));
  return { ...why, roomId, epoch, seq, id: tail, ...membership, online, page };
}
