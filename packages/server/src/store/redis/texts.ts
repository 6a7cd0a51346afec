import { randomUUID } from 'node:crypto';
import type { Append, Draft, Entry, Json, Kept, Key, Page, Told } from '../store.ts';
import type { Reply } from './connection.ts';
import { unpair } from './keys.ts';

/** How entries, keys and tickets are written in Redis, and read again. The scripts only cut and join these texts. */

const QUIET = 1;
const LISTED = 2;

type Head = [id: string, prev: string | null, at: number, tick: number, by: string, author: string, kind: string, flags: number];
type Body = { [name: string]: Json };

/** What is told of one append: the epoch, the first seq, whether the room ended with it, and the entries. */
type ToldText = [epoch: string, first: number, ended: 0 | 1, entries: [Head, Body][]];

/** What a node says in a room's channel: who says it, and what was appended, or what is announced. */
export type News = [publisher: string, told: ToldText[]] | [publisher: string, told: null, announced: Json];

export const toldIn = ([epoch, first, ended, entries]: ToldText): Told => ({
  epoch,
  entries: entries.map(([head, body], index) => toEntry(first + index, head, body)),
  ended: ended === 1,
});

export function entryOf(seq: number, text: string): Entry {
  const line = text.indexOf('\n');
  const head = JSON.parse(line < 0 ? text : text.slice(0, line)) as Head;
  return toEntry(seq, head, line < 0 ? null : (JSON.parse(text.slice(line + 1)) as Body));
}

function toEntry(seq: number, [id, prev, at, tick, by, author, kind, flags]: Head, body: Body | null): Entry {
  return { seq, id, prev, at, tick, by, author, kind, body, quiet: (flags & QUIET) !== 0, listed: (flags & LISTED) !== 0 };
}

/** An entry as the log has it; for what comes from another store. */
export function textOf({ id, prev, at, tick, by, author, kind, body, ...entry }: Entry): string {
  const head = JSON.stringify([id, prev, at, tick, by, author, kind, flagsOf(entry)]);
  return body === null ? head : `${head}\n${JSON.stringify(body)}`;
}

const flagsOf = ({ quiet = false, listed = false }: { quiet?: boolean; listed?: boolean }): number =>
  (quiet ? QUIET : 0) + (listed ? LISTED : 0);

/** What an entry has beside its place, as JSON without brackets. */
const restOf = (draft: Draft): string => JSON.stringify([draft.by, draft.author, draft.kind, flagsOf(draft)]).slice(1, -1);

export function keyOf([value, mark, lease]: [Reply, Reply, Reply]): Key | undefined {
  if (value === null) return undefined;
  const text = String(value);
  const space = text.indexOf(' ');
  return {
    value: JSON.parse(text.slice(space + 1)) as Json,
    seq: Number(text.slice(0, space)),
    ...(mark !== null && { mark: Number(mark) }),
    ...(lease !== null && { lease: leaseIn(String(lease)) }),
  };
}

/** What was set aside is no node's. What was unpacked is, too, but has run out at the time 0, or was set aside before. */
function leaseIn(text: string): NonNullable<Key['lease']> {
  const [node, until] = unpair(text);
  if (until === '') return 'held';
  return node === '' && until !== '0' ? 'lapsed' : 'released';
}

/** Which of the arguments of an append with `lapsed` is the node that is known to be gone. */
export const GONE_ARGUMENT = 4;

/** What `append.lua` takes for one append; a room that this opens gets a new epoch. */
export function argumentsOf(append: Append): string[] {
  const { drafts, epoch, head, bytesBelow, given, entries = [], once, lapsed } = append;
  const args = ['', epoch ?? '', named(once), named(lapsed)];
  if (lapsed !== undefined) args.push('');
  if (epoch === null) args.push(randomUUID());
  args.push(numberOr(head), numberOr(bytesBelow), String(given.length));
  for (const [key, seq] of given) args.push(key, String(seq));
  args.push(String(entries.length));
  for (const [seq, id] of entries) args.push(String(seq), JSON.stringify(id));
  args.push(String(drafts.length));
  for (const draft of drafts) pushDraft(args, draft);
  args[0] = String(args.length - 1);
  return args;
}

const numberOr = (number: number | undefined): string => (number === undefined ? '' : String(number));

function pushDraft(args: string[], draft: Draft): void {
  const { id, body, quiet, listed, ends, sets, erases, lease, tickets } = draft;
  const letters = (quiet ? 'q' : '') + (listed ? 'l' : '') + (ends ? 'e' : '');
  const parts = (sets ? 's' : '') + (erases ? 'x' : '') + (lease ? 'k' : '') + (tickets ? 't' : '');
  args.push(JSON.stringify(id), restOf(draft), JSON.stringify(body), letters, parts);
  if (sets) args.push(String(sets.length));
  for (const [key, value] of sets ?? []) args.push(key, value === null ? '' : JSON.stringify(value));
  if (erases) args.push(String(erases.length), ...erases.map(String));
  if (lease) args.push(lease.key, lease.node);
  if (tickets) args.push(String(tickets.length));
  for (const { holder, key, value, ttl } of tickets ?? [])
    args.push(holder, key, value === null ? '' : JSON.stringify(value), ttl === undefined ? '' : String(ttl));
}

/** An empty name is a name. */
export const named = (name: string | undefined): string => (name === undefined ? '' : `=${name}`);

/** What `page.lua` answers; the entries are in its order. */
export function pageIn([now, epoch, ...rest]: Reply[]): Page {
  if (epoch === null) return { epoch, head: 0, tail: null, tick: 0, oldest: 0, bytes: 0, now: Number(now), entries: [], more: false };
  const [head, tail, tick, oldest, bytes, more, ...rows] = rest;
  const entries: Entry[] = [];
  for (let index = 0; index < rows.length; index += 2) entries.push(entryOf(Number(rows[index]), String(rows[index + 1])));
  return {
    epoch: String(epoch),
    head: Number(head),
    tail: JSON.parse(String(tail)) as string | null,
    tick: Number(tick),
    oldest: Number(oldest),
    bytes: Number(bytes),
    now: Number(now),
    entries,
    more: more === 1,
  };
}

/** What `append.lua` and `recall.lua` say of an append that was kept before. */
export function keptIn([epoch, first, ...texts]: Reply[]): Kept {
  const entries = texts.map((text, index) => entryOf(Number(first) + index, String(text)));
  return { epoch: String(epoch), entries: entries.map(({ seq, id, at }) => ({ seq, id, at })) };
}

/** What `append.lua` says of an append that was done now. */
export function toldOf(drafts: Draft[], [epoch, firstSeq, at, firstTick, firstPrev]: Reply[]): Told {
  let prev = JSON.parse(String(firstPrev)) as string | null;
  const entries = drafts.map((draft, index) => {
    const { id, by, author, kind, body, quiet = false, listed = false } = draft;
    const place = { seq: Number(firstSeq) + index, id, prev, at: Number(at), tick: Number(firstTick) + index };
    if (!quiet) prev = id;
    return { ...place, by, author, kind, body, quiet, listed };
  });
  return { epoch: String(epoch), entries, ended: drafts.some(({ ends }) => ends) };
}

/** The told as `append.lua` would have published it. */
export const newsOf = ({ epoch, entries, ended }: Told): ToldText => [
  epoch,
  entries[0]?.seq ?? 0,
  ended ? 1 : 0,
  entries.map(({ id, prev, at, tick, by, author, kind, body, ...flags }) => [
    [id, prev, at, tick, by, author, kind, flagsOf(flags)],
    body ?? {},
  ]),
];

export interface TicketText {
  until: number | null;
  seq: number;
  epoch: string;
  value: Json;
}

export function ticketIn(text: string): TicketText {
  const space = text.indexOf(' ');
  const [seq, epoch, value] = JSON.parse(text.slice(space + 1)) as [number, string, Json];
  return { until: space === 0 ? null : Number(text.slice(0, space)), seq, epoch, value };
}

export const ticketText = ({ until, seq, epoch, value }: TicketText): string => `${until ?? ''} ${JSON.stringify([seq, epoch, value])}`;
