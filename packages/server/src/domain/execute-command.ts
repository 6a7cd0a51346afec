/** Executes a command: reads the facts it depends on, decides, appends conditionally, and retries on conflict. */
import { randomUUID } from 'node:crypto';
import { ChatError, type CommandName, type RequestPayload } from '@engawa/protocol';
import type { AppendReceipt, AppendRequest, RoomFacts, Store } from '../store/contract.ts';
import type { Caller, CommandRule, DraftEntry } from './command.ts';

/** Attempts before a command fails with `busy`, when other commands keep changing the keys that it depends on. */
const MAX_ATTEMPTS = 50;

/** The result of a command: `appended` now, `repeated` from an earlier append with the same idempotency key, or `unchanged`. */
export interface CommandResult {
  outcome: 'appended' | 'repeated' | 'unchanged';
  epoch: string;
  seq: number;
  id?: string;
  at?: number;
  /** All appended entries; the fields above describe the last one. Empty if nothing had to change. */
  entries: AppendReceipt['entries'];
}

interface CommandExecution<E extends CommandName> {
  store: Store;
  rule: CommandRule<E>;
  command: RequestPayload<E>;
  caller: Caller;
  /** Shared with the other commands of the batch. */
  factsCache?: FactsCache | undefined;
}

/**
 * Shares facts among the commands of a batch. Commands of one caller that read the same keys and write none of them can run
 * concurrently, and are appended in the order in which they began: attempt n of each is decided on the same facts. A store
 * applies appends in the order of the calls, and a changed key stays changed. So if one append is stale, all later ones are stale
 * too, and each command retries after the one before it. The next batch makes its first attempt on the facts that were read last.
 */
export class FactsCache {
  /** Facts of the previous batch. If they are outdated, the append is stale. */
  previous: RoomFacts | undefined;
  #latest: RoomFacts | undefined;
  #factsByAttempt: Promise<RoomFacts>[] = [];

  async read(attempt: number, read: () => Promise<RoomFacts>): Promise<RoomFacts> {
    const facts = this.#factsByAttempt[attempt] ?? read();
    this.#factsByAttempt[attempt] = facts;
    this.#latest = await facts;
    return facts;
  }

  /** Call this when all commands of the batch are done. */
  startNextBatch(): void {
    this.previous = this.#latest;
    this.#factsByAttempt = [];
  }
}

/**
 * Reads the facts that the rule depends on, decides, and appends on the condition that none of them changed. Retries if the
 * append is stale.
 */
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
      // Only an append proves that cached facts are still current.
      return (await findPreviousResult(store, roomId, idempotencyKey)) ?? toUnchangedResult(facts, refusal);
    }
  }
  throw new ChatError('busy');
}

/** Reads the facts, including the derived keys, as one snapshot. */
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

function tryDecide(decide: () => DraftEntry[]): { drafts: DraftEntry[]; refusal?: Error } {
  try {
    return { drafts: decide() };
  } catch (error) {
    return { drafts: [], refusal: error as Error };
  }
}

/**
 * A retry is answered like the first attempt, whatever happened since. Examples: the member was removed before the first answer
 * arrived, or nothing is to change because the first attempt changed it.
 */
async function findPreviousResult(store: Store, roomId: string, idempotencyKey: string | undefined): Promise<CommandResult | undefined> {
  const receipt = idempotencyKey === undefined ? null : await store.findByIdempotencyKey(roomId, idempotencyKey);
  return receipt ? toResult('repeated', receipt) : undefined;
}

function toUnchangedResult({ epoch, head }: RoomFacts, refusal: Error | undefined): CommandResult {
  if (refusal) throw refusal;
  return { outcome: 'unchanged', epoch: String(epoch), seq: head, entries: [] };
}

/** Builds an append that requires the keys and entries of the facts to be unchanged. */
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
