import { isDeepStrictEqual } from 'node:util';
import type { CommandName, ErrorCode } from '@engawa/protocol';
import { isSameRoom } from '@engawa/protocol/position';
import { comparisonForms } from '#chat/confusables.js';
import type { Entry, Json, Key } from '#store/store.js';

/** A command as its sender knows it, however often he sent it. */
export interface Sent {
  client: string;
  /** Which page of the client sent it first: others keep no order with it. */
  page?: number;
  event: CommandName;
  payload: { roomId: string; username: string; clientId?: string; [field: string]: unknown };
  /** When he sent it first, and below when he was answered: ticks of one counter that all clients of a history share. */
  sentAt: number;
  acks: Ack[];
  refusal?: ErrorCode;
  /** When it is one of several chats that travelled together: what these are kept under, and which of them it is. */
  packet?: { clientId: string; index: number };
}

/** Without `id`: nothing had to change. */
interface Ack {
  tick: number;
  epoch: string;
  seq: number;
  id?: string;
}

/** What one connection heard of a room, in the order in which it heard it. */
export interface Hearing {
  client: string;
  heard: Heard[];
  /** The newest entry that this connection was told to have added itself. */
  acked: number;
  /** Stock clients that come back are not told edits whose text a later entry has replaced. */
  lacksErased?: true;
  /** Another page may leave, and come back, while this one is away: then it is told all that was said meanwhile. */
  hasOtherPages?: boolean;
}

export interface Heard {
  kind: string;
  seq: number;
  id: string;
  [field: string]: unknown;
}

/** What clients saw of one room; `sent` in the order of sending. */
export interface RoomHistory {
  sent: Sent[];
  hearings: Hearing[];
}

/** What the store has of one room in the end. */
export interface RoomLog {
  epoch: string | null;
  head: number;
  entries: Entry[];
  keys: Map<string, Key>;
  /** How many keys the store says that each family has. */
  counts: Map<string, number>;
  /** What the store recalls of each append that had a client id. */
  recalled: Map<Sent, { seq: number; id: string }[]>;
}

/** Everything in which the history and the log disagree with each other or with what is promised; empty when all is well. */
export function faultsOf(history: RoomHistory, log: RoomLog): string[] {
  return [
    ...faultsOfChain(log),
    ...faultsOfKeys(log),
    ...faultsOfAnswers(history, log),
    ...faultsOfOrigin(history, log),
    ...faultsOfOrder(history),
    ...faultsOfHearings(history, log),
  ];
}

/**
 * The same where the log was forked, and lost its end: what was acknowledged may be at another place now, but it is there,
 * once; and what was heard since the last reset is a run of the log.
 */
export function faultsOfFork({ sent, hearings }: RoomHistory, log: RoomLog): string[] {
  return [
    ...faultsOfChain(log),
    ...faultsOfKeys(log),
    ...sent.flatMap((each) => faultsOfChat(each, log)),
    ...faultsOfHearings({ hearings, sent }, log),
  ];
}

/** A room that was lost as a whole is not forked: who opens it anew opens another one, and nothing is said there again. */
function faultsOfChat(sent: Sent, { epoch, entries, recalled }: RoomLog): string[] {
  const { clientId } = sent.payload;
  if (sent.event !== 'create:chat' || clientId === undefined) return [];
  const kept = entries.filter(({ body, by }) => by === sent.client && body?.clientId === clientId);
  // The text of one that was replaced is gone, and with it the client id: the store recalls its place.
  const place = recalled.get(sent)?.at(-1);
  const isThere = entries.some(
    ({ seq, id, by, kind }) => seq === place?.seq && id === place.id && by === sent.client && kind === sent.event,
  );
  const isPromised = sent.acks.some((ack) => epoch !== null && isSameRoom(ack.epoch, epoch));
  return [
    ...when(kept.length > 1, `${name(sent)} is kept more than once`),
    ...when(isPromised && !isThere, `${name(sent)} was acknowledged and is not there`),
  ];
}

const when = (isSo: boolean, fault: string): string[] => (isSo ? [fault] : []);

/** Numbered from 1 without holes, each entry names the told one before it, time never goes back. */
function faultsOfChain({ head, entries }: RoomLog): string[] {
  let told: string | null = null;
  let [seq, at] = [0, 0];
  const faults = entries.flatMap((entry) => {
    const broken = [
      ...when(entry.seq !== seq + 1, `after ${seq} comes ${entry.seq}`),
      ...when(entry.prev !== told, `the prev of ${entry.seq} is not the told entry before it`),
      ...when(entry.at < at, `time goes back at ${entry.seq}`),
    ];
    if (!entry.quiet) told = entry.id;
    ({ seq, at } = entry);
    return broken;
  });
  return [...faults, ...when(seq !== head, `the head is ${head}, the last entry is ${seq}`)];
}

/** A replay of the log gives the very keys and counts that the store has, and only texts that were replaced are gone. */
function faultsOfKeys({ entries, keys, counts }: RoomLog): string[] {
  const replayed = replay(entries);
  return [
    ...replayed.faults,
    ...differing(replayed.keys, withoutReplies(keys)).map((key) => `the key ${key} is not as a replay of the log has it`),
    ...differing(countsOf(replayed.keys), counts).map((family) => `the count of ${family} is not as a replay of the log has it`),
    ...entries.flatMap((entry) => faultsOfText(entry, replayed.keys)),
  ];
}

/** What a chat answers went with the body that its edit erased: no replay finds it, but who sent it knows. */
const withoutReplies = (keys: Map<string, Key>): Map<string, Key> => new Map([...keys].map(([name, key]) => [name, withoutReply(key)]));

function withoutReply(key: Key): Key {
  if (replyOf(key) === undefined) return key;
  const { replyTo: _, ...value } = key.value as { [field: string]: Json };
  return { ...key, value };
}

const replyOf = (key: Key | undefined): unknown => (key?.value as { replyTo?: number } | null | undefined)?.replyTo;

function differing<Value>(expected: Map<string, Value>, actual: Map<string, Value>): string[] {
  const names = new Set([...expected.keys(), ...actual.keys()]);
  return [...names].filter((name) => !isDeepStrictEqual(expected.get(name), actual.get(name)));
}

function countsOf(keys: Map<string, Key>): Map<string, number> {
  const families = [...keys.keys()].filter((key) => key.includes('/')).map((key) => key.slice(0, key.lastIndexOf('/')));
  const counts = new Map<string, number>();
  for (const family of families) counts.set(family, (counts.get(family) ?? 0) + 1);
  return counts;
}

function faultsOfText({ kind, seq, body }: Entry, keys: Map<string, Key>): string[] {
  if (kind === 'create:chat') {
    const isReplaced = keys.has(chatKey(seq));
    return when((body === null) !== isReplaced, isReplaced ? `the replaced text of ${seq} is still there` : `the text of ${seq} is gone`);
  }
  const isOutdated = kind === 'update:chat' && body !== null && keys.get(chatKey(body.chatSeq))?.seq !== seq;
  return when(isOutdated, `the replaced text of ${seq} is still there`);
}

const escaped = (text: string): string => text.replaceAll('%', '%25').replaceAll('/', '%2F');
const folded = (name: string): string => escaped(name.toLowerCase());
const memberKey = (name: string): string => `member/${folded(name)}`;
const skeletonKey = (form: string): string => `skeleton/${escaped(form)}`;
const chatKey = (seq: unknown): string => `entry/${String(seq)}/chat`;

/** The keys that a log amounts to, and the entries that should never have been added to it. */
function replay(entries: Entry[]): { keys: Map<string, Key>; faults: string[] } {
  const keys = new Map<string, Key>();
  const faults = entries.flatMap((entry) => {
    const set = setBy(entry, keys);
    const wrong = faultsOfStep(entry, keys, set?.[0]);
    for (const each of [...skeletonsSetBy(entry, keys), ...readersSetBy(entry, keys), ...(set ? [set] : [])]) apply(keys, each, entry.seq);
    return wrong;
  });
  return { keys, faults };
}

function apply(keys: Map<string, Key>, [key, value]: [string, Json], seq: number): void {
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

/** The key that an entry sets; null takes it away. An edit without a body was replaced by a later one. */
function setBy({ kind, by, author, body }: Entry, keys: Map<string, Key>): [key: string, value: Json] | undefined {
  if (body === null) return undefined;
  const { topic, retention, username = '', chatSeq = 0, message = '', reaction = '' } = body as Fields;
  const reactionKey = `entry/${chatSeq}/reaction/${escaped(reaction)}/${author}`;
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

/** The keys that stand for what a name looks like: the first entry of a room reserves those of its owner, a member takes the others along. */
function skeletonsSetBy({ kind, by, author, body }: Entry, keys: Map<string, Key>): [key: string, value: Json][] {
  if (kind === 'create:room') return comparisonForms(by).map((form) => [skeletonKey(form), { username: by, reservedFor: author }]);
  if (kind === 'add:member') return skeletonsOf(by, keys).map((key) => [key, { username: by }]);
  if (kind !== 'remove:member') return [];
  const { username = '' } = (body ?? {}) as Fields;
  const { skeletons = [] } = (keys.get(memberKey(username))?.value ?? {}) as { skeletons?: string[] };
  return skeletons.map((key) => [key, null]);
}

/** The key on which it stands how far somebody has read: of whoever joins, under the name that they last joined with. */
function readersSetBy({ kind, by, author }: Entry, keys: Map<string, Key>): [key: string, value: Json][] {
  const key = `reader/${author}`;
  const known = keys.get(key)?.value as { username: string } | undefined;
  return kind === 'add:member' && known?.username !== by ? [[key, { username: by }]] : [];
}

/** Those of a name that are not reserved. */
const skeletonsOf = (name: string, keys: Map<string, Key>): string[] =>
  comparisonForms(name)
    .slice(1)
    .map(skeletonKey)
    .filter((key) => !keys.has(key));

function faultsOfStep({ kind, seq, by, author }: Entry, keys: Map<string, Key>, key: string | undefined): string[] {
  const member = keys.get(memberKey(by))?.value as { author: string } | undefined;
  const known = key === undefined ? undefined : keys.get(key);
  const [verb] = kind.split(':');
  return [
    ...when(
      kind !== 'create:room' && kind !== 'add:member' && member?.author !== author,
      `${kind} at ${seq} is by ${by}, who is not there`,
    ),
    ...when((verb === 'create' || verb === 'add') && known !== undefined, `${kind} at ${seq} adds what was there`),
    ...when(verb === 'remove' && known === undefined, `${kind} at ${seq} takes away what was not there`),
    ...when(isDeepStrictEqual(known?.value, { deleted: true }), `${kind} at ${seq} changes a deleted chat`),
  ];
}

/** What was acknowledged is in the log, where and as it was acknowledged, and the store recalls it. */
function faultsOfAnswers({ sent }: RoomHistory, log: RoomLog): string[] {
  const entries = new Map(log.entries.map((entry) => [entry.seq, entry]));
  return sent.flatMap((each) => [...faultsOfAcks(each, log, entries), ...faultsOfRecall(each, log)]);
}

function faultsOfAcks(sent: Sent, { epoch, keys }: RoomLog, entries: Map<number, Entry>): string[] {
  const [first, ...repeats] = sent.acks;
  if (!first) return [];
  const entry = entries.get(first.seq);
  const isHis = entry?.id === first.id && entry?.kind === kindOf(sent) && entry.by === sent.client;
  return [
    ...when(first.epoch !== epoch, `${name(sent)} was acknowledged in another epoch`),
    ...when(first.id !== undefined && !isHis, `${name(sent)} was acknowledged at ${first.seq} and is not there`),
    ...when(isHis && !isAsSent(entry, sent, keys), `${name(sent)} is kept at ${first.seq} otherwise than it was sent`),
    // Where nothing had to change there is no place.
    ...when(
      first.id !== undefined && repeats.some(({ seq, id }) => seq !== first.seq || id !== first.id),
      `${name(sent)} was acknowledged at ${first.seq}, then elsewhere`,
    ),
    ...when(sent.refusal !== undefined, `${name(sent)} was acknowledged and also refused`),
  ];
}

const name = ({ client, event, payload: { clientId = 'without client id' } }: Sent): string => `${event} ${clientId} of ${client}`;

/** Who creates a room is acknowledged as its first member. */
const kindOf = ({ event }: Sent): CommandName => (event === 'create:room' ? 'add:member' : event);

function isAsSent({ by, kind, seq, body }: Entry, { payload }: Sent, keys: Map<string, Key>): boolean {
  // The epoch names the log, and is not kept.
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
  const kept: Record<string, unknown> = { username: by, ...body };
  const isHis = kind !== 'create:chat' || kept.clientId === clientId;
  return isHis && Object.entries(said).every(([field, value]) => isDeepStrictEqual(kept[field], value));
}

function faultsOfRecall(sent: Sent, { recalled }: RoomLog): string[] {
  const kept = recalled.get(sent);
  if (!kept) return [];
  const [ack] = sent.acks;
  const last = kept.at(-1);
  const isAnswered = ack !== undefined || sent.refusal !== undefined;
  const isRecalled = last?.id === ack?.id && (last === undefined || last.seq === ack?.seq);
  return [
    ...when(
      isAnswered && !isRecalled,
      `${name(sent)} was answered with ${ack?.seq ?? 'a refusal'} and is recalled at ${last?.seq ?? 'no place'}`,
    ),
    ...when(kept.length > (sent.event === 'create:room' ? 2 : 1), `${name(sent)} is kept more than once`),
  ];
}

/** Every entry was asked for, once; but for what the server does by itself: a name lapses, and is taken again by who comes back. */
function faultsOfOrigin({ sent }: RoomHistory, { entries, recalled }: RoomLog): string[] {
  const asked = new Set([...sent.flatMap(({ acks }) => acks), ...[...recalled.values()].flat()].map(({ id }) => id));
  const open = sent.filter(({ payload, acks, refusal }) => payload.clientId === undefined && acks.length === 0 && refusal === undefined);
  const seen = new Set<string>();
  const lapsed = new Set<string>();
  return entries.flatMap(({ seq, id, kind, by, author, body }) => {
    const { clientId, reason } = (body ?? {}) as { clientId?: string; reason?: string };
    const once = `${author} ${clientId}`;
    const isTwice = clientId !== undefined && seen.has(once);
    seen.add(once);
    const isAsked =
      asked.has(id) ||
      kind === 'create:room' ||
      reason === 'gone' ||
      (kind === 'add:member' && lapsed.has(author)) ||
      takeFirst(open, (each) => each.client === by && kindOf(each) === kind);
    if (reason === 'gone') lapsed.add(author);
    else if (kind === 'add:member') lapsed.delete(author);
    return [
      ...when(isTwice, `the client id of ${seq} is there twice`),
      ...when(!isAsked, `${kind} at ${seq} was sent by nobody, or is there twice`),
    ];
  });
}

function takeFirst<Item>(items: Item[], matches: (item: Item) => boolean): boolean {
  const index = items.findIndex(matches);
  return index >= 0 && items.splice(index, 1).length > 0;
}

/** A sender's chats keep his order, and what was sent after the answer to something comes after it. */
function faultsOfOrder({ sent }: RoomHistory): string[] {
  const ownNewest = new Map<string, number>();
  const ownOrder = sent
    .filter(({ event }) => event === 'create:chat')
    .flatMap((chat) => {
      const seq = placeOf(chat);
      const sender = `${chat.client} ${chat.page}`;
      const before = ownNewest.get(sender) ?? 0;
      if (seq !== undefined) ownNewest.set(sender, Math.max(seq, before));
      return when(seq !== undefined && seq <= before, `${name(chat)} is at ${seq}, a chat that he sent before it at ${before}`);
    });
  return [...ownOrder, ...faultsOfTime(sent)];
}

/** The seq of the entry that was made for it, as far as its sender knows. */
const placeOf = ({ acks: [ack] }: Sent): number | undefined => (ack?.id === undefined ? undefined : ack.seq);

function faultsOfTime(sent: Sent[]): string[] {
  const placed = sent.filter((each) => placeOf(each) !== undefined);
  const answers = placed.toSorted((one, other) => (one.acks[0]?.tick ?? 0) - (other.acks[0]?.tick ?? 0)).values();
  let answer = answers.next();
  let newest = 0;
  return placed.flatMap((each) => {
    for (; !answer.done && (answer.value.acks[0]?.tick ?? 0) < each.sentAt; answer = answers.next()) {
      newest = Math.max(newest, placeOf(answer.value) ?? 0);
    }
    return when((placeOf(each) ?? 0) <= newest, `${name(each)} was sent after ${newest} was acknowledged and is before it`);
  });
}

/** What a connection hears is a run of the log, with quiet entries of its own where it was there: nothing is left out, doubled or swapped, and nobody hears more after he left. */
function faultsOfHearings({ hearings }: RoomHistory, log: RoomLog): string[] {
  return hearings.flatMap((hearing) => {
    const told = log.entries.filter(({ quiet, by }) => !quiet || by === hearing.client);
    const places = new Map(told.map(({ id }, place) => [id, place]));
    const last = hearing.heard.at(-1)?.seq ?? 0;
    return [
      ...hearing.heard.flatMap((_, index) => faultsOfHeard(hearing, index, told, places)),
      ...when(hearing.acked > last, `${hearing.client} was acknowledged ${hearing.acked} and heard nothing after ${last}`),
    ];
  });
}

const isErasedEdit = ({ kind, body }: Entry): boolean => kind === 'update:chat' && body === null;

function faultsOfHeard(hearing: Hearing, index: number, told: Entry[], places: Map<string, number>): string[] {
  const { client, heard } = hearing;
  const [before, now] = [heard[index - 1], heard[index] as Heard];
  const place = places.get(now.id);
  if (place === undefined) return [`${client} heard ${now.kind} ${now.seq}, which is not in the log`];
  const { author: _, tick: __, quiet, listed: ___, body, ...envelope } = told[place] as Entry;
  const isAsKept = Object.entries({ ...envelope, ...body, ...(quiet && { quiet }) }).every(([field, value]) =>
    isDeepStrictEqual(now[field], value),
  );
  // Whose name lapsed while he was away, and who came back, is told all that was said meanwhile.
  const isEnd = before?.kind === 'remove:member' && before.username === client && before.reason !== 'gone';
  const hadLeft = isEnd && !hearing.hasOtherPages;
  const isBack = now.kind === 'add:member' && now.by === client && now.seq > (before?.seq ?? 0);
  const between = told.slice((places.get(before?.id ?? '') ?? place) + 1, place);
  const isLater = place > (places.get(before?.id ?? '') ?? place);
  const isNext = before === undefined || (isLater && between.every((entry) => entry.quiet || (hearing.lacksErased && isErasedEdit(entry))));
  return [
    ...when(!isAsKept, `${client} heard ${now.seq} otherwise than it is kept`),
    ...when(hadLeft && !isBack, `${client} heard ${now.seq} after he had left`),
    ...when(!hadLeft && !isNext, `${client} heard ${now.seq} right after ${before?.seq}`),
  ];
}
