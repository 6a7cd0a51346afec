import { randomUUID } from 'node:crypto';
import { ChatError, type CommandName, type RequestPayload } from '@engawa/protocol';
import type { AppendReceipt, AppendRequest, RoomFacts, Store } from '../store/contract.ts';
import type { Caller, CommandRule, DraftEntry } from './command.ts';

/** How often a decision is taken again when others keep moving what it rests on. */
const MAX_ATTEMPTS = 50;

/** Where a command ended: `appended` now, `repeated` from the first time, or `unchanged`, for nothing had to change. */
export interface CommandResult {
  outcome: 'appended' | 'repeated' | 'unchanged';
  epoch: string;
  seq: number;
  id?: string;
  at?: number;
  /** All that was kept, of which what stands above is the last; none when nothing had to change. */
  entries: AppendReceipt['entries'];
}

interface CommandExecution<E extends CommandName> {
  store: Store;
  rule: CommandRule<E>;
  command: RequestPayload<E>;
  caller: Caller;
  /** With others of its run. */
  factsCache?: FactsCache | undefined;
}

/**
 * Commands of one caller that rest on the same keys and set none of them may be under way together, and are kept in the
 * order in which they began: each try of theirs is decided on the same facts. A store takes appends in the order in which
 * they are asked, and what has moved stays moved: so once one of them is stale, those after it are, too, and each has its
 * next try after the one before it. Those that come later have their first try on the facts that were read last.
 */
export class FactsCache {
  /** Read for those before these: what moved since makes an append stale. */
  previous: RoomFacts | undefined;
  #latest: RoomFacts | undefined;
  #factsByAttempt: Promise<RoomFacts>[] = [];

  async read(attempt: number, read: () => Promise<RoomFacts>): Promise<RoomFacts> {
    const facts = this.#factsByAttempt[attempt] ?? read();
    this.#factsByAttempt[attempt] = facts;
    this.#latest = await facts;
    return facts;
  }

  /** All of them are done; others follow. */
  startNextBatch(): void {
    this.previous = this.#latest;
    this.#factsByAttempt = [];
  }
}

/** Reads what the rule rests on, decides, and appends on the condition that none of it has moved; else once more. */
export async function executeCommand<E extends CommandName>({
  store,
  rule,
  command,
  caller,
  factsCache = new FactsCache(),
}: CommandExecution<E>): Promise<CommandResult> {
  const { roomId, clientId } = command as { roomId: string; clientId?: string };
  const idempotencyKey = clientId === undefined ? undefined : `${caller.author}:${clientId}`;
  const dependencies = rule.dependencies(command, caller);
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const cached = attempt === 0 ? factsCache.previous : undefined;
    const facts = cached ?? (await factsCache.read(attempt, () => readFacts(store, { rule, command, caller })));
    const { drafts, refusal } = tryDecide(() => rule.decide(facts, command, caller));
    if (drafts.length > 0) {
      await rule.beforeAppend?.(store, command, caller);
      const append = conditionalAppend(drafts, facts, [...dependencies.keys, ...(rule.derivedKeys?.(facts, command, caller) ?? [])]);
      if (idempotencyKey !== undefined) append.idempotencyKey = idempotencyKey;
      if (dependencies.bytesBelow !== undefined) append.bytesBelow = dependencies.bytesBelow;
      const appended = await store.append(roomId, append);
      if (appended.outcome !== 'stale') return toResult(appended.outcome, appended);
    } else if (!cached) {
      // Only an append says whether kept facts are still so.
      return (await findPreviousResult(store, roomId, idempotencyKey)) ?? toUnchangedResult(facts, refusal);
    }
  }
  throw new ChatError('busy');
}

/** In one moment, with the keys to which others lead. */
async function readFacts<E extends CommandName>(
  store: Store,
  { rule, command, caller }: Omit<CommandExecution<E>, 'store'>,
): Promise<RoomFacts> {
  const { roomId } = command as { roomId: string };
  const dependencies = rule.dependencies(command, caller);
  for (let keys = dependencies.keys; ; ) {
    const facts = await store.read(roomId, { ...dependencies, keys });
    const derivedKeys = (rule.derivedKeys?.(facts, command, caller) ?? []).filter((key) => !keys.includes(key));
    if (derivedKeys.length === 0) return facts;
    keys = [...dependencies.keys, ...derivedKeys];
  }
}

function tryDecide(decideNow: () => DraftEntry[]): { drafts: DraftEntry[]; refusal?: Error } {
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
async function findPreviousResult(store: Store, roomId: string, idempotencyKey: string | undefined): Promise<CommandResult | undefined> {
  const receipt = idempotencyKey === undefined ? null : await store.findByIdempotencyKey(roomId, idempotencyKey);
  return receipt ? toResult('repeated', receipt) : undefined;
}

function toUnchangedResult({ epoch, head }: RoomFacts, refusal: Error | undefined): CommandResult {
  if (refusal) throw refusal;
  return { outcome: 'unchanged', epoch: String(epoch), seq: head, entries: [] };
}

/** The append of what was decided, on the condition that the keys are as they were, and the entries the same. */
export function conditionalAppend(draftEntries: DraftEntry[], facts: RoomFacts, keys: string[]): AppendRequest {
  const requireExpiredLease = draftEntries.find((each) => each.requireExpiredLease !== undefined)?.requireExpiredLease;
  return {
    drafts: draftEntries.map(({ requireExpiredLease: _, ...each }) => ({ ...each, id: randomUUID() })),
    ...(requireExpiredLease !== undefined && { requiredExpiredLease: requireExpiredLease }),
    epoch: facts.epoch,
    expectedVersions: keys.map((key) => [key, facts.keys.get(key)?.seq ?? 0]),
    expectedEntries: Array.from(facts.entries, ([seq, { id }]) => [seq, id]),
  };
}

function toResult(outcome: CommandResult['outcome'], { epoch, entries }: AppendReceipt): CommandResult {
  const last = entries.at(-1);
  if (!last) throw new Error('An append has one entry at least.');
  return { outcome, epoch, seq: last.seq, id: last.id, at: last.at, entries };
}
