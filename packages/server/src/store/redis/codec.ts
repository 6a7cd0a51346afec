/** Encodes and decodes entries, keys and tickets as they are stored in Redis. */
import { randomUUID } from 'node:crypto';
import type { AppendNotice, AppendReceipt, AppendRequest, Draft, Entry, Json, KeyState, Page } from '../contract.ts';
import { splitPair } from './key-names.ts';
import type { Reply } from './redis-connection.ts';

/** The Lua scripts only split and join these texts. */

const QUIET_FLAG = 1;
const LISTED_FLAG = 2;

type EntryHeader = [id: string, prev: string | null, at: number, hlc: number, by: string, author: string, kind: string, flags: number];
type EntryBody = { [name: string]: Json };

/** The notice of one append: the epoch, the first seq, whether the room ended with it, and the entries. */
type EncodedNotice = [epoch: string, first: number, ended: 0 | 1, entries: [EntryHeader, EntryBody][]];

/** A message of a room's channel: the publisher, and the notices of appends or the message of `publish`. */
export type ChannelMessage = [publisher: string, notices: EncodedNotice[]] | [publisher: string, notices: null, published: Json];

export const decodeNotice = ([epoch, first, ended, entries]: EncodedNotice): AppendNotice => ({
  epoch,
  entries: entries.map(([head, body], index) => toEntry(first + index, head, body)),
  ended: ended === 1,
});

export function decodeEntry(seq: number, text: string): Entry {
  const line = text.indexOf('\n');
  const head = JSON.parse(line < 0 ? text : text.slice(0, line)) as EntryHeader;
  return toEntry(seq, head, line < 0 ? null : (JSON.parse(text.slice(line + 1)) as EntryBody));
}

function toEntry(seq: number, [id, prev, at, hlc, by, author, kind, flags]: EntryHeader, body: EntryBody | null): Entry {
  return { seq, id, prev, at, hlc, by, author, kind, body, quiet: (flags & QUIET_FLAG) !== 0, listed: (flags & LISTED_FLAG) !== 0 };
}

/** Encodes an entry of another store as it is stored in the log. */
export function encodeEntry({ id, prev, at, hlc, by, author, kind, body, ...entry }: Entry): string {
  const head = JSON.stringify([id, prev, at, hlc, by, author, kind, encodeFlags(entry)]);
  return body === null ? head : `${head}\n${JSON.stringify(body)}`;
}

const encodeFlags = ({ quiet = false, listed = false }: { quiet?: boolean; listed?: boolean }): number =>
  (quiet ? QUIET_FLAG : 0) + (listed ? LISTED_FLAG : 0);

/** The fields of an entry except its position, as JSON without brackets. */
const encodeHeaderRest = (draft: Draft): string => JSON.stringify([draft.by, draft.author, draft.kind, encodeFlags(draft)]).slice(1, -1);

export function decodeKey([value, mark, lease]: [Reply, Reply, Reply]): KeyState | undefined {
  if (value === null) return undefined;
  const text = String(value);
  const space = text.indexOf(' ');
  return {
    value: JSON.parse(text.slice(space + 1)) as Json,
    seq: Number(text.slice(0, space)),
    ...(mark !== null && { mark: Number(mark) }),
    ...(lease !== null && { lease: decodeLeaseState(String(lease)) }),
  };
}

/**
 * A lease that was taken from its node has no node. An imported lease has no node either, but has expired at time 0, unless it
 * was taken before the export.
 */
function decodeLeaseState(text: string): NonNullable<KeyState['lease']> {
  const [node, until] = splitPair(text);
  if (until === '') return 'held';
  return node === '' && until !== '0' ? 'expired' : 'released';
}

/** Index of the argument of an append with `requiredExpiredLease` that names the gone node. */
export const GONE_NODE_ARGUMENT = 4;

/** The arguments of one append for `append.lua`. An append that creates a room gets a new epoch. */
export function encodeAppend(request: AppendRequest): string[] {
  const { drafts, epoch, expectedHead, bytesBelow, expectedVersions, expectedEntries = [], idempotencyKey, requiredExpiredLease } = request;
  const args = ['', epoch ?? '', encodeName(idempotencyKey), encodeName(requiredExpiredLease)];
  if (requiredExpiredLease !== undefined) args.push('');
  if (epoch === null) args.push(randomUUID());
  args.push(encodeNumber(expectedHead), encodeNumber(bytesBelow), String(expectedVersions.length));
  for (const [key, seq] of expectedVersions) args.push(key, String(seq));
  args.push(String(expectedEntries.length));
  for (const [seq, id] of expectedEntries) args.push(String(seq), JSON.stringify(id));
  args.push(String(drafts.length));
  for (const draft of drafts) pushDraft(args, draft);
  args[0] = String(args.length - 1);
  return args;
}

const encodeNumber = (number: number | undefined): string => (number === undefined ? '' : String(number));

function pushDraft(args: string[], draft: Draft): void {
  const { id, body, quiet, listed, endsRoom, keyUpdates, eraseSeqs, lease, tickets } = draft;
  const flagLetters = (quiet ? 'q' : '') + (listed ? 'l' : '') + (endsRoom ? 'e' : '');
  const partLetters = (keyUpdates ? 's' : '') + (eraseSeqs ? 'x' : '') + (lease ? 'k' : '') + (tickets ? 't' : '');
  args.push(JSON.stringify(id), encodeHeaderRest(draft), JSON.stringify(body), flagLetters, partLetters);
  if (keyUpdates) args.push(String(keyUpdates.length));
  for (const [key, value] of keyUpdates ?? []) args.push(key, value === null ? '' : JSON.stringify(value));
  if (eraseSeqs) args.push(String(eraseSeqs.length), ...eraseSeqs.map(String));
  if (lease) args.push(lease.key, lease.node);
  if (tickets) args.push(String(tickets.length));
  for (const { holder, key, value, ttl } of tickets ?? [])
    args.push(holder, key, value === null ? '' : JSON.stringify(value), ttl === undefined ? '' : String(ttl));
}

/** Distinguishes an empty name from no name. */
export const encodeName = (name: string | undefined): string => (name === undefined ? '' : `=${name}`);

/** Decodes the reply of `read-page.lua`, whose entries are in the direction of the query. */
export function decodePage([now, epoch, ...rest]: Reply[]): Page {
  if (epoch === null)
    return { epoch, head: 0, lastBroadcastId: null, hlc: 0, oldest: 0, bytes: 0, now: Number(now), entries: [], hasMore: false };
  const [head, lastBroadcastId, hlc, oldest, bytes, hasMore, ...rows] = rest;
  const entries: Entry[] = [];
  for (let index = 0; index < rows.length; index += 2) entries.push(decodeEntry(Number(rows[index]), String(rows[index + 1])));
  return {
    epoch: String(epoch),
    head: Number(head),
    lastBroadcastId: JSON.parse(String(lastBroadcastId)) as string | null,
    hlc: Number(hlc),
    oldest: Number(oldest),
    bytes: Number(bytes),
    now: Number(now),
    entries,
    hasMore: hasMore === 1,
  };
}

/** Decodes the reply of `append.lua` and `find-by-idempotency-key.lua` for a repeated append. */
export function decodeReceipt([epoch, first, ...texts]: Reply[]): AppendReceipt {
  const entries = texts.map((text, index) => decodeEntry(Number(first) + index, String(text)));
  return { epoch: String(epoch), entries: entries.map(({ seq, id, at }) => ({ seq, id, at })) };
}

/** Decodes the reply of `append.lua` for a new append. */
export function noticeOfReply(drafts: Draft[], [epoch, firstSeq, at, firstTick, firstPrev]: Reply[]): AppendNotice {
  let prev = JSON.parse(String(firstPrev)) as string | null;
  const entries = drafts.map((draft, index) => {
    const { id, by, author, kind, body, quiet = false, listed = false } = draft;
    const position = { seq: Number(firstSeq) + index, id, prev, at: Number(at), hlc: Number(firstTick) + index };
    if (!quiet) prev = id;
    return { ...position, by, author, kind, body, quiet, listed };
  });
  return { epoch: String(epoch), entries, ended: drafts.some(({ endsRoom }) => endsRoom) };
}

/** Encodes a notice as `append.lua` publishes it. */
export const encodeNotice = ({ epoch, entries, ended }: AppendNotice): EncodedNotice => [
  epoch,
  entries[0]?.seq ?? 0,
  ended ? 1 : 0,
  entries.map(({ id, prev, at, hlc, by, author, kind, body, ...flags }) => [
    [id, prev, at, hlc, by, author, kind, encodeFlags(flags)],
    body ?? {},
  ]),
];

export interface StoredTicket {
  until: number | null;
  seq: number;
  epoch: string;
  value: Json;
}

export function decodeTicket(text: string): StoredTicket {
  const space = text.indexOf(' ');
  const [seq, epoch, value] = JSON.parse(text.slice(space + 1)) as [number, string, Json];
  return { until: space === 0 ? null : Number(text.slice(0, space)), seq, epoch, value };
}

export const encodeTicket = ({ until, seq, epoch, value }: StoredTicket): string => `${until ?? ''} ${JSON.stringify([seq, epoch, value])}`;
