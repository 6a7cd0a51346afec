/** The history checker finds each kind of fault, and none in a correct history. */
import type { CommandName } from '@engawa/protocol';
import {
  findFaults,
  findForkFaults,
  type ReceivedLog,
  type RoomHistory,
  type RoomLog,
  type SentCommand,
} from '@engawa/testkit/checkers/history';
import { describe, expect, test } from 'vitest';
import type { Entry, Json } from '#store/contract.js';

/** A small consistent history, and functions that break it. */
interface Seen {
  history: RoomHistory;
  log: RoomLog;
  aya: ReceivedLog;
  ben: ReceivedLog;
  entry: (seq: number) => Entry;
  sent: (clientId: string) => SentCommand;
  add: (entry: Pick<Entry, 'by' | 'kind' | 'body'>) => void;
}

describe('the checker of histories finds', () => {
  test('nothing in a correct history', () => {
    expect(faultsIn(() => undefined)).toEqual([]);
  });

  test('nothing where a client joined later and received the end of the log only', () => {
    expect(faultsIn(({ ben }) => ben.entries.splice(0, 3))).toEqual([]);
  });

  test.each<[what: string, spoil: (seen: Seen) => unknown, fault: string]>([
    ['a lost chat', ({ log }) => (log.head -= log.entries.splice(10).length), 'a5 of Aya was acknowledged at 11 and is not there'],
    ['another chat in its place', ({ entry }) => (entry(9).id = 'e0'), 'a4 of Aya was acknowledged at 9 and is not there'],
    ['a text that changed', ({ entry }) => (entry(9).body = { message: '4' }), 'a4 of Aya is stored at 9 with other content than sent'],
    ['a text that is gone', ({ entry }) => (entry(9).body = null), 'the text of 9 is gone'],
    ['a text that should be gone', ({ entry }) => (entry(4).body = { message: 'one' }), 'the replaced text of 4 is still there'],
    ['a chat that is there twice', ({ add, entry }) => add(entry(11)), 'the client id of 12 is there twice'],
    ['a chat without a sender', ({ add }) => add(chatBy('Aya')), 'create:chat at 12 has no sender'],
    ['a hole', ({ log }) => log.entries.splice(4, 1), 'after 4 comes 6'],
    ['a head beyond the end', ({ log }) => (log.head = 12), 'the head is 12, the last entry is 11'],
    ['a broken chain', ({ entry }) => (entry(7).prev = 'e5'), 'the prev of 7 is not the broadcast entry before it'],
    ['time that goes back', ({ entry }) => (entry(7).at = 0), 'time goes back at 7'],
    ['chats out of their order', ({ sent }) => swapAcks(sent('a2'), sent('a4')), 'a4 of Aya is at 6, a chat sent before it at 9'],
    [
      'an effect before its cause',
      ({ sent }) => (found(sent('a4').acks[0]).sequence = 7),
      'b1 of Ben was sent after 9 was acknowledged and is before it',
    ],
    ['a key with another value', ({ log }) => (found(log.keys.get('entry/4/chat')).value = {}), 'the key entry/4/chat is not as a replay'],
    ['a key set by another entry', ({ log }) => (found(log.keys.get('member/aya')).seq = 1), 'the key member/aya is not as a replay'],
    ['a key that is missing', ({ log }) => log.keys.delete('settings'), 'the key settings is not as a replay'],
    ['a key too many', ({ log }) => log.keys.set('member/ben', { value: true, seq: 3 }), 'the key member/ben is not as a replay'],
    ['a wrong count', ({ log }) => log.counts.set('member', 2), 'the count of member is not as a replay'],
    ['a chat of a member who left', ({ add }) => add(chatBy('Ben')), 'create:chat at 12 is by Ben, who is not there'],
    ['a second join', ({ add, entry }) => add(entry(2)), 'add:member at 12 adds what was there'],
    ['a second leave', ({ add, entry }) => add(entry(10)), 'remove:member at 12 takes away what was not there'],
    ['another epoch', ({ log }) => (log.epoch = 'other'), 'a1 of Aya was acknowledged in another epoch'],
    ['a repeat answered otherwise', ({ sent }) => sent('a4').acks.push(ackOf(10)), 'a4 of Aya was acknowledged at 9, then elsewhere'],
    ['a repeat refused', ({ sent }) => (sent('a4').refusal = 'busy'), 'a4 of Aya was acknowledged and also refused'],
    [
      'what is not recalled',
      ({ log, sent }) => log.storedResults.set(sent('a4'), []),
      'a4 of Aya was answered with 9 and is recalled at no place',
    ],
    [
      'two stored results of one command',
      ({ log, sent }) => log.storedResults.get(sent('a4'))?.unshift(ackOf(5)),
      'a4 of Aya is stored more than once',
    ],
    ['a silent gap', ({ ben }) => ben.entries.splice(2, 1), 'Ben received 6 right after 4'],
    ['an entry received twice', ({ ben }) => ben.entries.splice(2, 0, ...ben.entries.slice(1, 2)), 'Ben received 4 right after 4'],
    [
      'entries received in the wrong order',
      ({ ben }) => ben.entries.splice(1, 2, ...ben.entries.slice(1, 3).reverse()),
      'Ben received 4 right after 5',
    ],
    [
      'a received entry that was never stored',
      ({ ben }) => (found(ben.entries[7]).id = 'e0'),
      'Ben received remove:member 10, which is not in the log',
    ],
    [
      'a received entry with other content than stored',
      ({ ben }) => (found(ben.entries[2]).message = '2'),
      'Ben received 5 with other content than stored',
    ],
    ['an entry received after leaving', ({ aya, ben }) => ben.entries.push(...aya.entries.slice(-1)), 'Ben received 11 after its leave'],
    [
      'an acknowledged entry that was not received',
      ({ aya }) => aya.entries.pop(),
      'Aya was acknowledged 11 and received nothing after 10',
    ],
  ])('%s', (_, spoil, fault) => {
    expect(faultsIn(spoil).join('\n')).toContain(fault);
  });
});

describe('where a log has a new epoch, the checker finds', () => {
  test.each<[what: string, spoil: (seen: Seen) => unknown]>([
    ['nothing where all is well', () => undefined],
    ['nothing where a chat is at another place', ({ sent }) => (sent('a5').acks = [{ ...ackOf(40), epoch: 'epoch.2' }])],
    [
      'nothing where a chat was said in another room of this name',
      (seen) => {
        loseTheLast(seen);
        seen.sent('a5').acks = [{ ...ackOf(11), epoch: 'other' }];
      },
    ],
  ])('%s', (_, spoil) => {
    expect(faultsIn(spoil, findForkFaults)).toEqual([]);
  });

  test('a lost chat', () => {
    expect(faultsIn(loseTheLast, findForkFaults)).toEqual(['create:chat a5 of Aya was acknowledged and is not there']);
  });
});

function loseTheLast({ log, aya }: Seen): void {
  log.head -= log.entries.splice(10).length;
  aya.lastAcknowledged = 10;
  aya.entries.pop();
}

const said: [by: string, kind: CommandName, body: { [field: string]: Json }, clientId?: string][] = [
  ['Aya', 'create:room', {}, 'a0'],
  ['Aya', 'add:member', {}],
  ['Ben', 'add:member', {}],
  ['Aya', 'create:chat', { message: 'one', clientId: 'a1' }, 'a1'],
  ['Ben', 'create:chat', { message: 'two', clientId: 'b1' }, 'b1'],
  ['Aya', 'create:chat', { message: 'three', clientId: 'a2' }, 'a2'],
  ['Aya', 'update:chat', { chatSeq: 4, message: 'one!' }, 'a3'],
  ['Ben', 'add:reaction', { chatSeq: 6, reaction: '%' }, 'b2'],
  ['Aya', 'create:chat', { message: 'four', clientId: 'a4' }, 'a4'],
  ['Ben', 'remove:member', { username: 'Ben', reason: 'left' }, 'b3'],
  ['Aya', 'create:chat', { message: 'five', clientId: 'a5' }, 'a5'],
];

function faultsIn(spoil: (seen: Seen) => unknown, check = findFaults): string[] {
  const seen = example();
  spoil(seen);
  return check(seen.history, seen.log);
}

function example(): Seen {
  const entries = said.map(([by, kind, body], index) => toEntry(index + 1, { by, kind, body: { ...body } }));
  const receivedOf = (from: number, to: number) =>
    entries.slice(from - 1, to).map(({ author: _, body, ...entry }) => ({ ...entry, username: entry.by, ...body }));
  const aya: ReceivedLog = { client: 'Aya', entries: receivedOf(1, 11), lastAcknowledged: 11 };
  const ben: ReceivedLog = { client: 'Ben', entries: receivedOf(3, 10), lastAcknowledged: 10 };
  const sent = said.flatMap((_, index) => toSent(index));
  const log: RoomLog = {
    epoch: 'epoch',
    head: entries.length,
    entries,
    keys: new Map<string, { value: Json; seq: number }>([
      ['settings', { value: { owner: 'author of Aya', topic: '' }, seq: 1 }],
      ['skeleton/aya', { value: { username: 'Aya', reservedFor: 'author of Aya' }, seq: 1 }],
      ['member/aya', { value: { username: 'Aya', author: 'author of Aya' }, seq: 2 }],
      ['reader/author of Aya', { value: { username: 'Aya' }, seq: 2 }],
      ['reader/author of Ben', { value: { username: 'Ben' }, seq: 3 }],
      ['entry/4/chat', { value: { message: 'one!' }, seq: 7 }],
      ['entry/6/reaction/%25/author of Ben', { value: true, seq: 8 }],
    ]),
    counts: new Map([
      ['member', 1],
      ['reader', 2],
      ['skeleton', 1],
      ['entry/4', 1],
      ['entry/6/reaction/%25', 1],
    ]),
    storedResults: new Map(
      sent.filter(({ payload }) => payload.clientId !== undefined).map((each) => [each, each.acks.map(({ seq }) => ackOf(seq))]),
    ),
  };
  const entry = (seq: number) => found(entries[seq - 1]);
  entry(4).body = null;
  return {
    history: { sent, receivedLogs: [aya, ben] },
    log,
    aya,
    ben,
    entry,
    sent: (clientId) => found(sent.find(({ payload }) => payload.clientId === clientId)),
    add: (added) => (log.head = entries.push(toEntry(entries.length + 1, added))),
  };
}

function toEntry(seq: number, { by, kind, body }: Pick<Entry, 'by' | 'kind' | 'body'>): Entry {
  const prev = seq === 1 ? null : `e${seq - 1}`;
  return {
    seq,
    id: `e${seq}`,
    prev,
    at: seq,
    hlc: seq,
    by,
    author: `author of ${by}`,
    kind,
    body,
    quiet: false,
    listed: kind === 'create:chat',
  };
}

/** The creator of a room is acknowledged as its first member, without a request of its own. */
function toSent(index: number): SentCommand[] {
  const [client, event, { reason: _, ...fields }, clientId] = found(said[index]);
  if (index === 1) return [];
  const payload = { roomId: 'room', username: client, ...fields, ...(clientId !== undefined && { clientId }) };
  return [{ client, event, payload, sentSequence: 2 * index, acks: [{ ...ackOf(Math.max(index + 1, 2)), sequence: 2 * index + 1 }] }];
}

const ackOf = (seq: number) => ({ sequence: 99, epoch: 'epoch', seq, id: `e${seq}` });

const chatBy = (by: string) => ({ by, kind: 'create:chat', body: { message: 'six' } });

function swapAcks(one: SentCommand, other: SentCommand): void {
  [one.acks, other.acks] = [other.acks, one.acks];
}

function found<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('The example lacks this entry.');
  return value;
}
