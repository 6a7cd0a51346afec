import { randomUUID } from 'node:crypto';
import { ChatError, type CommandName, type Payload } from '@engawa/protocol';
import type { Append, Facts, Kept, Store } from '../store/store.ts';
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
  /** All that was kept, of which what stands above is the last; none when nothing had to change. */
  entries: Kept['entries'];
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
 * next try after the one before it. Those that come later have their first try on the facts that were read last.
 */
export class SharedReads {
  /** Read for those before these: what moved since makes an append stale. */
  kept: Facts | undefined;
  #newest: Facts | undefined;
  #facts: Promise<Facts>[] = [];

  async read(attempt: number, read: () => Promise<Facts>): Promise<Facts> {
    const facts = this.#facts[attempt] ?? read();
    this.#facts[attempt] = facts;
    this.#newest = await facts;
    return facts;
  }

  /** All of them are done; others follow. */
  beginAgain(): void {
    this.kept = this.#newest;
    this.#facts = [];
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
    const kept = attempt === 0 ? shared.kept : undefined;
    const facts = kept ?? (await shared.read(attempt, () => readAll(store, { rule, command, caller })));
    const { drafts, refusal } = decide(() => rule.decide(facts, command, caller));
    if (drafts.length > 0) {
      await rule.beforeAppend?.(store, command, caller);
      const append = resting(drafts, facts, [...rests.keys, ...(rule.leadsTo?.(facts, command, caller) ?? [])]);
      if (once !== undefined) append.once = once;
      if (rests.bytesBelow !== undefined) append.bytesBelow = rests.bytesBelow;
      const appended = await store.append(roomId, append);
      if (appended.outcome !== 'stale') return outcomeOf(appended.outcome, appended);
    } else if (!kept) {
      // Only an append says whether kept facts are still so.
      return (await recalled(store, roomId, once)) ?? unchanged(facts, refusal);
    }
  }
  throw new ChatError('busy');
}

/** In one moment, with the keys to which others lead. */
async function readAll<E extends CommandName>(store: Store, { rule, command, caller }: Omit<Commit<E>, 'store'>): Promise<Facts> {
  const { roomId } = command as { roomId: string };
  const rests = rule.rests(command, caller);
  for (let keys = rests.keys; ; ) {
    const facts = await store.read(roomId, { ...rests, keys });
    const others = (rule.leadsTo?.(facts, command, caller) ?? []).filter((key) => !keys.includes(key));
    if (others.length === 0) return facts;
    keys = [...rests.keys, ...others];
  }
}

function decide(decideNow: () => Decided[]): { drafts: Decided[]; refusal?: Error } {
  try {
    return { drafts: decideNow() };
  } catch (error) {
    return { drafts: [], refusal: error as Error };
  }
}

/**
 * A retry is answered as the first time, whatever happened since: somebody who said a last word and was removed before
 * he heard the answer is told that it was kept, and so is who finds nothing to change because his first try changed it.
 */
async function recalled(store: Store, roomId: string, once: string | undefined): Promise<Outcome | undefined> {
  const kept = once === undefined ? null : await store.recall(roomId, once);
  return kept ? outcomeOf('repeated', kept) : undefined;
}

function unchanged({ epoch, head }: Facts, refusal: Error | undefined): Outcome {
  if (refusal) throw refusal;
  return { outcome: 'unchanged', epoch: String(epoch), seq: head, entries: [] };
}

/** The append of what was decided, on the condition that the keys are as they were, and the entries the same. */
export function resting(decided: Decided[], facts: Facts, keys: string[]): Append {
  const lapsed = decided.find((each) => each.lapsed !== undefined)?.lapsed;
  return {
    drafts: decided.map(({ lapsed: _, ...each }) => ({ ...each, id: randomUUID() })),
    ...(lapsed !== undefined && { lapsed }),
    epoch: facts.epoch,
    given: keys.map((key) => [key, facts.keys.get(key)?.seq ?? 0]),
    entries: Array.from(facts.entries, ([seq, { id }]) => [seq, id]),
  };
}

function outcomeOf(outcome: Outcome['outcome'], { epoch, entries }: Kept): Outcome {
  const last = entries.at(-1);
  if (!last) throw new Error('An append has one entry at least.');
  return { outcome, epoch, seq: last.seq, id: last.id, at: last.at, entries };
}
