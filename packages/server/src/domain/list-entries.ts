/** The query list:entries: the entries of a room after a position, for callers that need not be members. */
import type { RequestPayload, ResponsePayload } from '@engawa/protocol';
import type { Store } from '../store/contract.ts';
import { readReplayPage } from './entry-payloads.ts';
import { ResponseBudget } from './response-budget.ts';
import { collectMissed, resumePageQuery } from './resume.ts';

export async function listEntries(store: Store, request: RequestPayload<'list:entries'>): Promise<ResponsePayload<'list:entries'>> {
  const { roomId, limit } = request;
  const budget = new ResponseBudget();
  const page = await readReplayPage(store, roomId, resumePageQuery(request, limit, budget));
  const result = collectMissed(page, request, budget);
  if ('entries' in result) return result;
  return { outcome: result.outcome, roomId, epoch: String(page.epoch), seq: page.head, id: page.lastBroadcastId, entries: [] };
}
