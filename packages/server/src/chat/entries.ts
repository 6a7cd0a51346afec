import type { Payload, Reply } from '@engawa/protocol';
import type { Store } from '../store/store.ts';
import { AnswerBudget } from './budget.ts';
import { mustMayRead } from './may-read.ts';
import { missedIn, pageFor } from './resume.ts';
import type { Caller } from './rule.ts';
import { toldPage } from './telling.ts';

/** What a room was told after a position, for somebody who need not be there. */
export async function listEntries(store: Store, ask: Payload<'list:entries'>, caller: Caller): Promise<Reply<'list:entries'>> {
  const { roomId, limit } = ask;
  const budget = new AnswerBudget();
  const page = await toldPage(store, roomId, pageFor(ask, limit, budget));
  const missed = missedIn(page, ask, budget);
  await mustMayRead(store, roomId, caller);
  if ('entries' in missed) return missed;
  return { outcome: missed.outcome, roomId, epoch: String(page.epoch), seq: page.head, id: page.tail, entries: [] };
}
