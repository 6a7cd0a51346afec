import { ChatError, LIMITS, type Payload, type Resumed } from '@engawa/protocol';
import type { Page, Store } from '../store/store.ts';
import { chatsAsTheyStand } from './chats.ts';
import { describeMembership } from './members.ts';
import { missed } from './telling.ts';

export type Held = Payload<'resume:rooms'>['rooms'][number];

interface Resume {
  store: Store;
  held: Held;
  /** The entry that the asker has, and what comes after it. */
  page: Page;
  /** How many members are connected. */
  online: number;
}

/** The page of the log that `resumed` decides on. */
export const pageFor = ({ seq }: Held, limit: number) => ({ after: Math.max(seq - 1, 0), limit: limit + 1 });

/** What a member who was away missed, or why that cannot be told. He hears the room already. */
export async function resumed(resume: Resume): Promise<Resumed> {
  const { store, held, page } = resume;
  const { roomId } = held;
  const { epoch, oldest, entries } = page;
  if (epoch === null) throw new ChatError('room_not_found');
  if (!isOnLog(held, page)) return startAnew(resume, { outcome: 'reset' });
  if (held.seq + 1 < oldest) return startAnew(resume, { outcome: 'too_old', oldest });
  const after = entries.filter(({ seq }) => seq > held.seq);
  const last = after.at(-1);
  return {
    outcome: page.more ? 'more' : 'caught_up',
    roomId,
    epoch,
    seq: last?.seq ?? held.seq,
    id: after.findLast(({ quiet }) => !quiet)?.id ?? held.id ?? after[0]?.prev ?? null,
    entries: await missed(store, { roomId, epoch }, after),
  };
}

/** Whether what the asker has can be of this log. Somebody who does not know the id of his last entry is believed. */
function isOnLog(held: Held, { epoch, head, entries: [first] }: Page): boolean {
  if (held.epoch !== epoch || held.seq > head) return false;
  if (held.id === undefined || held.id === null || first === undefined) return true;
  if (first.seq === held.seq) return (first.quiet ? first.prev : first.id) === held.id;
  return first.seq !== held.seq + 1 || first.prev === held.id;
}

/** All that he would learn if he joined now. He is told it here: to find it out he need not ask to be a member. */
async function startAnew(
  { store, held: { roomId, username }, online }: Resume,
  why: { outcome: 'reset' } | { outcome: 'too_old'; oldest: number },
): Promise<Resumed> {
  const { epoch, seq, tail, ...page } = await chatsAsTheyStand(store, { roomId, limit: LIMITS.pageDefault }, username);
  return { ...why, roomId, epoch, seq, id: tail, ...(await describeMembership(store, roomId, username)), online, page };
}
