/** The history checker: finds lost, repeated, reordered and invented entries in what clients sent and received. */
import { isDeepStrictEqual } from 'node:util';
import type { CommandName, ErrorCode } from '@engawa/protocol';
import { isSameLineage } from '@engawa/protocol/position';
import type { Entry, Json, KeyState } from '@engawa/server';
import { comparisonForms } from '../server-internals.ts';

/** A command as its sender knows it, for any number of attempts. */
export interface SentCommand {
  client: string;
  /** Which page of the client sent it first: chats of other pages are not ordered with it. */
  page?: number;
  event: CommandName;
  payload: { roomId: string; username: string; clientId?: string; [field: string]: unknown };
  /** When it was sent first, and below when it was answered: values of one counter that all clients of a history share. */
  sentSequence: number;
  acks: Ack[];
  refusal?: ErrorCode;
  /** For one of several chats of a packet: the idempotency key of the packet, and the index of the chat. */
  packet?: { clientId: string; index: number };
}

/** Without `id`: nothing had to change. */
interface Ack {
  sequence: number;
  epoch: string;
  seq: number;
  id?: string;
}

/** The entries of a room that one connection received, in order. */
export interface ReceivedLog {
  client: string;
  entries: ReceivedEntry[];
  /** The newest entry that this connection was acknowledged. */
  lastAcknowledged: number;
  /** Recovered plain Socket.IO clients do not receive edits whose text a later entry has replaced. */
  omitsErasedEdits?: true;
  /** Another page may leave and rejoin while this one is disconnected: then this one receives all entries in between. */
  hasOtherPages?: boolean;
}

export interface ReceivedEntry {
  kind: string;
  seq: number;
  id: string;
  [field: string]: unknown;
}

/** What clients observed of one room; `sent` in the order of sending. */
export interface RoomHistory {
  sent: SentCommand[];
  receivedLogs: ReceivedLog[];
}

/** The final content of one room in the store. */
export interface RoomLog {
  epoch: string | null;
  head: number;
  entries: Entry[];
  keys: Map<string, KeyState>;
  /** How many keys the store says that each family has. */
  counts: Map<string, number>;
  /** The stored result of each append with a client id. */
  storedResults: Map<SentCommand, { seq: number; id: string }[]>;
}

/** All contradictions between the history, the log and the guarantees; empty if there are none. */
export function findFaults(history: RoomHistory, log: RoomLog): string[] {
  return [
    ...findChainFaults(log),
    ...findKeyFaults(log),
    ...findAnswerFaults(history, log),
    ...findOriginFaults(history, log),
    ...findOrderFaults(history),
    ...findReceivedFaults(history, log),
  ];
}

/**
 * The same for a log with a new epoch that lost its end: acknowledged commands may have another seq, but each is there,
 * once; and the entries that were received since the last reset are a contiguous part of the log.
 */
export function findForkFaults({ sent, receivedLogs }: RoomHistory, log: RoomLog): string[] {
  return [
    ...findChainFaults(log),
    ...findKeyFaults(log),
    ...sent.flatMap((each) => findChatFaults(each, log)),
    ...findReceivedFaults({ receivedLogs, sent }, log),
  ];
}

/** A room that was lost as a whole has no new epoch of the same log: opening it again creates another room, without the chats of the lost one. */
function findChatFaults(sent: SentCommand, { epoch, entries, storedResults }: RoomLog): string[] {
  const { clientId } = sent.payload;
  if (sent.event !== 'create:chat' || clientId === undefined) return [];
  const stored = entries.filter(({ body, by }) => by === sent.client && body?.clientId === clientId);
  // A replaced text is erased, and with it the client id: the stored result has its seq.
  const place = storedResults.get(sent)?.at(-1);
  const isThere = entries.some(
    ({ seq, id, by, kind }) => seq === place?.seq && id === place.id && by === sent.client && kind === sent.event,
  );
  const isPromised = sent.acks.some((ack) => epoch !== null && isSameLineage(ack.epoch, epoch));
  return [
    ...faultIf(stored.length > 1, `${labelOf(sent)} is stored more than once`),
    ...faultIf(isPromised && !isThere, `${labelOf(sent)} was acknowledged and is not there`),
  ];
}

const faultIf = (isSo: boolean, fault: string): string[] => (isSo ? [fault] : []);

/** Seqs start at 1 without gaps, each entry names the previous broadcast entry, and time never goes back. */
function findChainFaults({ head, entries }: RoomLog): string[] {
  let lastBroadcastId: string | null = null;
  let [seq, at] = [0, 0];
  const faults = entries.flatMap((entry) => {
    const broken = [
      ...faultIf(entry.seq !== seq + 1, `after ${seq} comes ${entry.seq}`),
      ...faultIf(entry.prev !== lastBroadcastId, `the prev of ${entry.seq} is not the broadcast entry before it`),
      ...faultIf(entry.at < at, `time goes back at ${entry.seq}`),
    ];
    if (!entry.quiet) lastBroadcastId = entry.id;
    ({ seq, at } = entry);
    return broken;
  });
  return [...faults, ...faultIf(seq !== head, `the head is ${head}, the last entry is ${seq}`)];
}

/** A replay of the log gives exactly the keys and counts of the store, and only replaced texts are missing. */
function findKeyFaults({ entries, keys, counts }: RoomLog): string[] {
  const replayed = replay(entries);
  return [
    ...replayed.faults,
    ...differingKeys(replayed.keys, withoutReplies(keys)).map((key) => `the key ${key} is not as a replay of the log has it`),
    ...differingKeys(countsOf(replayed.keys), counts).map((family) => `the count of ${family} is not as a replay of the log has it`),
    ...entries.flatMap((entry) => findTextFaults(entry, replayed.keys)),
  ];
}

/** The edit of a chat erased its replyTo with its body: no replay finds it, only its sender knows it. */
const withoutReplies = (keys: Map<string, KeyState>): Map<string, KeyState> =>
  new Map([...keys].map(([name, key]) => [name, withoutReply(key)]));

function withoutReply(key: KeyState): KeyState {
  if (replyOf(key) === undefined) return key;
  const { replyTo: _, ...value } = key.value as { [field: string]: Json };
  return { ...key, value };
}

const replyOf = (key: KeyState | undefined): unknown => (key?.value as { replyTo?: number } | null | undefined)?.replyTo;

function differingKeys<Value>(expected: Map<string, Value>, actual: Map<string, Value>): string[] {
  const names = new Set([...expected.keys(), ...actual.keys()]);
  return [...names].filter((name) => !isDeepStrictEqual(expected.get(name), actual.get(name)));
}

function countsOf(keys: Map<string, KeyState>): Map<string, number> {
  const families = [...keys.keys()].filter((key) => key.includes('/')).map((key) => key.slice(0, key.lastIndexOf('/')));
  const counts = new Map<string, number>();
  for (const family of families) counts.set(family, (counts.get(family) ?? 0) + 1);
  return counts;
}

function findTextFaults({ kind, seq, body }: Entry, keys: Map<string, KeyState>): string[] {
  if (kind === 'create:chat') {
    const isReplaced = keys.has(chatKey(seq));
    return faultIf(
      (body === null) !== isReplaced,
      isReplaced ? `the replaced text of ${seq} is still there` : `the text of ${seq} is gone`,
    );
  }
  const isOutdated = kind === 'update:chat' && body !== null && keys.get(chatKey(body.chatSeq))?.seq !== seq;
  return faultIf(isOutdated, `the replaced text of ${seq} is still there`);
}

const escapeKey = (text: string): string => text.replaceAll('%', '%25').replaceAll('/', '%2F');
const foldName = (name: string): string => escapeKey(name.toLowerCase());
const memberKey = (name: string): string => `member/${foldName(name)}`;
const skeletonKey = (form: string): string => `skeleton/${escapeKey(form)}`;
const chatKey = (seq: unknown): string => `entry/${String(seq)}/chat`;

/** The keys that a replay of a log gives, and the entries that should never have been added to it. */
function replay(entries: Entry[]): { keys: Map<string, KeyState>; faults: string[] } {
  const keys = new Map<string, KeyState>();
  const faults = entries.flatMap((entry) => {
    const set = keySetBy(entry, keys);
    const wrong = findStepFaults(entry, keys, set?.[0]);
    for (const each of [...skeletonsSetBy(entry, keys), ...readersSetBy(entry, keys), ...(set ? [set] : [])]) apply(keys, each, entry.seq);
    return wrong;
  });
  return { keys, faults };
}

function apply(keys: Map<string, KeyState>, [key, value]: [string, Json], seq: number): void {
  if (value === null) keys.delete(key);
  else keys.set(key, { value, seq });
}

type Fields = {
  topic?: string;
  retention?: { [name: string]: number };
  username?: string;
  chatSeq?: number;
  message?: string;
  reaction?: string;
};

/** The key that an entry sets; null removes it. An edit without a body was replaced by a later one. */
function keySetBy({ kind, by, author, body }: Entry, keys: Map<string, KeyState>): [key: string, value: Json] | undefined {
  if (body === null) return undefined;
  const { topic, retention, username = '', chatSeq = 0, message = '', reaction = '' } = body as Fields;
  const reactionKey = `entry/${chatSeq}/reaction/${escapeKey(reaction)}/${author}`;
  switch (kind) {
    case 'create:room':
      return ['settings', { owner: author, topic: topic ?? '' }];
    case 'update:room':
      return [
        'settings',
        { ...(keys.get('settings')?.value as { owner: string }), ...(topic !== undefined && { topic }), ...(retention && { retention }) },
      ];
    case 'add:member': {
      const skeletons = skeletonsOf(by, keys);
      return [memberKey(by), { username: by, author, ...(skeletons.length > 0 && { skeletons }) }];
    }
    case 'remove:member':
      return [memberKey(username), null];
    case 'update:chat':
      return [chatKey(chatSeq), { message }];
    case 'delete:chat':
      return [chatKey(chatSeq), { deleted: true }];
    case 'add:reaction':
      return [reactionKey, true];
    case 'remove:reaction':
      return [reactionKey, null];
    default:
      return undefined;
  }
}

/** The confusable keys of a name: the first entry of a room reserves those of its owner, a leave removes those of other members. */
function skeletonsSetBy({ kind, by, author, body }: Entry, keys: Map<string, KeyState>): [key: string, value: Json][] {
  if (kind === 'create:room') return comparisonForms(by).map((form) => [skeletonKey(form), { username: by, reservedFor: author }]);
  if (kind === 'add:member') return skeletonsOf(by, keys).map((key) => [key, { username: by }]);
  if (kind !== 'remove:member') return [];
  const { username = '' } = (body ?? {}) as Fields;
  const { skeletons = [] } = (keys.get(memberKey(username))?.value ?? {}) as { skeletons?: string[] };
  return skeletons.map((key) => [key, null]);
}

/** The key of the read mark of a member, under the name with which they last joined. */
function readersSetBy({ kind, by, author }: Entry, keys: Map<string, KeyState>): [key: string, value: Json][] {
  const key = `reader/${author}`;
  const known = keys.get(key)?.value as { username: string } | undefined;
  return kind === 'add:member' && known?.username !== by ? [[key, { username: by }]] : [];
}

/** Those of a name that are not reserved. */
const skeletonsOf = (name: string, keys: Map<string, KeyState>): string[] =>
  comparisonForms(name)
    .slice(1)
    .map(skeletonKey)
    .filter((key) => !keys.has(key));

function findStepFaults({ kind, seq, by, author }: Entry, keys: Map<string, KeyState>, key: string | undefined): string[] {
  const member = keys.get(memberKey(by))?.value as { author: string } | undefined;
  const known = key === undefined ? undefined : keys.get(key);
  const [verb] = kind.split(':');
  return [
    ...faultIf(
      kind !== 'create:room' && kind !== 'add:member' && member?.author !== author,
      `${kind} at ${seq} is by ${by}, who is not there`,
    ),
    ...faultIf((verb === 'create' || verb === 'add') && known !== undefined, `${kind} at ${seq} adds what was there`),
    ...faultIf(verb === 'remove' && known === undefined, `${kind} at ${seq} takes away what was not there`),
    ...faultIf(isDeepStrictEqual(known?.value, { deleted: true }), `${kind} at ${seq} changes a deleted chat`),
  ];
}

/** Every acknowledged command is in the log, with the acknowledged seq and content, and has its stored result. */
function findAnswerFaults({ sent }: RoomHistory, log: RoomLog): string[] {
  const entries = new Map(log.entries.map((entry) => [entry.seq, entry]));
  return sent.flatMap((each) => [...findAckFaults(each, log, entries), ...findStoredResultFaults(each, log)]);
}

function findAckFaults(sent: SentCommand, { epoch, keys }: RoomLog, entries: Map<number, Entry>): string[] {
  const [first, ...repeats] = sent.acks;
  if (!first) return [];
  const entry = entries.get(first.seq);
  const isOwn = entry?.id === first.id && entry?.kind === kindOf(sent) && entry.by === sent.client;
  return [
    ...faultIf(first.epoch !== epoch, `${labelOf(sent)} was acknowledged in another epoch`),
    ...faultIf(first.id !== undefined && !isOwn, `${labelOf(sent)} was acknowledged at ${first.seq} and is not there`),
    ...faultIf(isOwn && !isAsSent(entry, sent, keys), `${labelOf(sent)} is stored at ${first.seq} with other content than sent`),
    // A command that changed nothing has no seq.
    ...faultIf(
      first.id !== undefined && repeats.some(({ seq, id }) => seq !== first.seq || id !== first.id),
      `${labelOf(sent)} was acknowledged at ${first.seq}, then elsewhere`,
    ),
    ...faultIf(sent.refusal !== undefined, `${labelOf(sent)} was acknowledged and also refused`),
  ];
}

const labelOf = ({ client, event, payload: { clientId = 'without client id' } }: SentCommand): string =>
  `${event} ${clientId} of ${client}`;

/** The creator of a room is acknowledged as its first member. */
const kindOf = ({ event }: SentCommand): CommandName => (event === 'create:room' ? 'add:member' : event);

function isAsSent({ by, kind, seq, body }: Entry, { payload }: SentCommand, keys: Map<string, KeyState>): boolean {
  // The epoch names the log, and is not stored.
  const { roomId: _, clientId, epoch: __, ...said } = payload;
  const became = keys.get(chatKey(payload.chatSeq ?? seq));
  if (
    body === null &&
    kind === 'create:chat' &&
    !isDeepStrictEqual(became?.value, { deleted: true }) &&
    replyOf(became) !== payload.replyTo
  )
    return false;
  if (body === null) return (became?.seq ?? 0) > seq;
  const stored: Record<string, unknown> = { username: by, ...body };
  const isOwn = kind !== 'create:chat' || stored.clientId === clientId;
  return isOwn && Object.entries(said).every(([field, value]) => isDeepStrictEqual(stored[field], value));
}

function findStoredResultFaults(sent: SentCommand, { storedResults }: RoomLog): string[] {
  const stored = storedResults.get(sent);
  if (!stored) return [];
  const [ack] = sent.acks;
  const last = stored.at(-1);
  const isAnswered = ack !== undefined || sent.refusal !== undefined;
  const isRecalled = last?.id === ack?.id && (last === undefined || last.seq === ack?.seq);
  return [
    ...faultIf(
      isAnswered && !isRecalled,
      `${labelOf(sent)} was answered with ${ack?.seq ?? 'a refusal'} and is recalled at ${last?.seq ?? 'no place'}`,
    ),
    ...faultIf(stored.length > (sent.event === 'create:room' ? 2 : 1), `${labelOf(sent)} is stored more than once`),
  ];
}

/** Every entry was requested, once, except those that the server adds by itself: an expired lease, and the rejoin of a returning member. */
function findOriginFaults({ sent }: RoomHistory, { entries, storedResults }: RoomLog): string[] {
  const asked = new Set([...sent.flatMap(({ acks }) => acks), ...[...storedResults.values()].flat()].map(({ id }) => id));
  const open = sent.filter(({ payload, acks, refusal }) => payload.clientId === undefined && acks.length === 0 && refusal === undefined);
  const seen = new Set<string>();
  const expired = new Set<string>();
  return entries.flatMap(({ seq, id, kind, by, author, body }) => {
    const { clientId, reason } = (body ?? {}) as { clientId?: string; reason?: string };
    const operationKey = `${author} ${clientId}`;
    const isTwice = clientId !== undefined && seen.has(operationKey);
    seen.add(operationKey);
    const isAsked =
      asked.has(id) ||
      kind === 'create:room' ||
      reason === 'timed_out' ||
      (kind === 'add:member' && expired.has(author)) ||
      takeFirst(open, (each) => each.client === by && kindOf(each) === kind);
    if (reason === 'timed_out') expired.add(author);
    else if (kind === 'add:member') expired.delete(author);
    return [
      ...faultIf(isTwice, `the client id of ${seq} is there twice`),
      ...faultIf(!isAsked, `${kind} at ${seq} has no sender, or is stored twice`),
    ];
  });
}

function takeFirst<Item>(items: Item[], matches: (item: Item) => boolean): boolean {
  const index = items.findIndex(matches);
  return index >= 0 && items.splice(index, 1).length > 0;
}

/** The chats of a sender keep their order, and a command that was sent after an answer comes after the answered one. */
function findOrderFaults({ sent }: RoomHistory): string[] {
  const ownNewest = new Map<string, number>();
  const ownOrder = sent
    .filter(({ event }) => event === 'create:chat')
    .flatMap((chat) => {
      const seq = seqOf(chat);
      const sender = `${chat.client} ${chat.page}`;
      const before = ownNewest.get(sender) ?? 0;
      if (seq !== undefined) ownNewest.set(sender, Math.max(seq, before));
      return faultIf(seq !== undefined && seq <= before, `${labelOf(chat)} is at ${seq}, a chat sent before it at ${before}`);
    });
  return [...ownOrder, ...findTimeFaults(sent)];
}

/** The seq of the entry of the command, as far as its sender knows. */
const seqOf = ({ acks: [ack] }: SentCommand): number | undefined => (ack?.id === undefined ? undefined : ack.seq);

function findTimeFaults(sent: SentCommand[]): string[] {
  const placed = sent.filter((each) => seqOf(each) !== undefined);
  const answers = placed.toSorted((one, other) => (one.acks[0]?.sequence ?? 0) - (other.acks[0]?.sequence ?? 0)).values();
  let answer = answers.next();
  let newest = 0;
  return placed.flatMap((each) => {
    for (; !answer.done && (answer.value.acks[0]?.sequence ?? 0) < each.sentSequence; answer = answers.next()) {
      newest = Math.max(newest, seqOf(answer.value) ?? 0);
    }
    return faultIf((seqOf(each) ?? 0) <= newest, `${labelOf(each)} was sent after ${newest} was acknowledged and is before it`);
  });
}

/** A connection receives a contiguous part of the log, with its own unlisted entries: nothing is missing, repeated or reordered, and nothing follows after a leave. */
function findReceivedFaults({ receivedLogs }: RoomHistory, log: RoomLog): string[] {
  return receivedLogs.flatMap((receivedLog) => {
    const visible = log.entries.filter(({ quiet, by }) => !quiet || by === receivedLog.client);
    const indexes = new Map(visible.map(({ id }, place) => [id, place]));
    const last = receivedLog.entries.at(-1)?.seq ?? 0;
    return [
      ...receivedLog.entries.flatMap((_, index) => findEntryFaults(receivedLog, index, visible, indexes)),
      ...faultIf(
        receivedLog.lastAcknowledged > last,
        `${receivedLog.client} was acknowledged ${receivedLog.lastAcknowledged} and received nothing after ${last}`,
      ),
    ];
  });
}

const isErasedEdit = ({ kind, body }: Entry): boolean => kind === 'update:chat' && body === null;

function findEntryFaults(receivedLog: ReceivedLog, index: number, visible: Entry[], indexes: Map<string, number>): string[] {
  const { client, entries } = receivedLog;
  const [before, now] = [entries[index - 1], entries[index] as ReceivedEntry];
  const logIndex = indexes.get(now.id);
  if (logIndex === undefined) return [`${client} received ${now.kind} ${now.seq}, which is not in the log`];
  const { author: _, hlc: __, quiet, listed: ___, body, ...envelope } = visible[logIndex] as Entry;
  const isAsStored = Object.entries({ ...envelope, ...body, ...(quiet && { quiet }) }).every(([field, value]) =>
    isDeepStrictEqual(now[field], value),
  );
  // A returning member whose lease expired receives all entries from the absence.
  const isEnd = before?.kind === 'remove:member' && before.username === client && before.reason !== 'timed_out';
  const hadLeft = isEnd && !receivedLog.hasOtherPages;
  const isBack = now.kind === 'add:member' && now.by === client && now.seq > (before?.seq ?? 0);
  const previousIndex = indexes.get(before?.id ?? '') ?? logIndex;
  const between = visible.slice(previousIndex + 1, logIndex);
  const isLater = logIndex > previousIndex;
  const isNext =
    before === undefined || (isLater && between.every((entry) => entry.quiet || (receivedLog.omitsErasedEdits && isErasedEdit(entry))));
  return [
    ...faultIf(!isAsStored, `${client} received ${now.seq} with other content than stored`),
    ...faultIf(hadLeft && !isBack, `${client} received ${now.seq} after its leave`),
    ...faultIf(!hadLeft && !isNext, `${client} received ${now.seq} right after ${before?.seq}`),
  ];
}
