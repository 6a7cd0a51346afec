import { randomUUID } from 'node:crypto';
import { ChatError, type CommandName, type Payload } from '@engawa/protocol';
import type { Append, Facts, Store } from '../store/store.ts';
import type { Caller, Decided, Rule } from './rule.ts';

/** How often a decision is taken again when others keep moving what it rests on. */
const ATTEMPTS = 50;

/** Where a command ended: `appended` now, `repeated` from the first time, or `unchanged`, for nothing had to change. */
export interface Outcome {
  outcome: 'appended' | 'repeated' | 'unchanged';
  epoch: string;
  seq: number;
  id?: string;
  at?: number;
}

interface Commit<E extends CommandName> {
  store: Store;
  rule: Rule<E>;
  command: Payload<E>;
  caller: Caller;
  /** With others of its run. */
  shared?: SharedReads | undefined;
}

/**
 * Commands of one caller that rest on the same keys and set none of them may be under way together, and are kept in the
 * order in which they began: each try of theirs is decided on the same facts. A store takes appends in the order in which
 * they are asked, and what has moved stays moved: so once one of them is stale, those after it are, too, and each has its
 * next try after the one before it.
 */
export class SharedReads {
  readonly #facts: Promise<Facts>[] = [];

  read(attempt: number, read: () => Promise<Facts>): Promise<Facts> {
    const known = this.#facts[attempt];
    if (known) return known;
    const facts = read();
    this.#facts[attempt] = facts;
    return facts;
  }
}

/** Reads what the rule rests on, decides, and appends on the condition that none of it has moved; else once more. */
export async function commit<E extends CommandName>({
  store,
  rule,
  command,
  caller,
  shared = new SharedReads(),
}: Commit<E>): Promise<Outcome> {
  const { roomId, clientId } = command as { roomId: string; clientId?: string };
  const once = clientId === undefined ? undefined : `${caller.author}:${clientId}`;
  const rests = rule.rests(command, caller);
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const facts = await shared.read(attempt, () => store.read(roomId, rests));
    const decided = await decideOrRecall(() => rule.decide(facts, command, caller), { store, roomId, once });
    if (!Array.isArray(decided)) return decided;
    if (decided.length === 0) return { outcome: 'unchanged', epoch: String(facts.epoch), seq: facts.head };
    const appended = await store.append(roomId, { ...resting(decided, facts, rests.keys), ...(once !== undefined && { once }) });
    if (appended.outcome !== 'stale') return { outcome: appended.outcome, epoch: appended.epoch, ...lastOf(appended.entries) };
  }
  throw new ChatError('busy');
}

/**
 * A retry is answered as the first time, whatever happened since: somebody who said a last word and was removed before
 * he heard the answer is told that it was kept, and so is who finds nothing to change because his first try changed it.
 */
async function decideOrRecall(
  decide: () => Decided[],
  { store, roomId, once }: { store: Store; roomId: string; once: string | undefined },
): Promise<Decided[] | Outcome> {
  let decided: Decided[] = [];
  let refusal: Error | undefined;
  try {
    decided = decide();
  } catch (error) {
    refusal = error as Error;
  }
  if (decided.length > 0) return decided;
  const kept = once === undefined ? null : await store.recall(roomId, once);
  if (kept) return { outcome: 'repeated', epoch: kept.epoch, ...lastOf(kept.entries) };
  if (refusal) throw refusal;
  return decided;
}

/** The append of what was decided, on the condition that the keys are as they were, and the entries the same. */
export function resting(decided: Decided[], facts: Facts, keys: string[]): Append {
  return {
    drafts: decided.map((each) => ({ id: randomUUID(), ...each })),
    epoch: facts.epoch,
    given: keys.map((key) => [key, facts.keys.get(key)?.seq ?? 0]),
    entries: [...facts.entries].map(([seq, { id }]) => [seq, id]),
  };
}

function lastOf(entries: { seq: number; id: string; at: number }[]): { seq: number; id: string; at: number } {
  const last = entries.at(-1);
  if (!last) throw new Error('An append has one entry at least.');
  return last;
}
