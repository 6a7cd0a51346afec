/** The chat window, compared with the model log. */
import type { Chat, ChatPage } from '@engawa/protocol';
import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChatWindow, type PageDirection } from '#timeline/chat-window.js';
import { type Entry, parseEntry } from '#timeline/entry.js';
import { type EntryInput, ModelLog, type PageRange } from './helpers/log.ts';

const ME = 'aya';
const REACTIONS = ['👍', '🎉', 'z'];

const entryOf = (payload: { kind: string }): Entry => parseEntry(payload.kind, payload)!;

interface Choice {
  who: number;
  what: number;
  which: number;
  quiet: boolean;
}
const choice: fc.Arbitrary<Choice> = fc.record({ who: fc.nat(2), what: fc.nat(9), which: fc.nat(1_000), quiet: fc.boolean() });

/** A log as a server could have written it: every entry changes something. */
function logOf(choices: Choice[]): ModelLog {
  const log = new ModelLog();
  for (const { who, what, which, quiet } of choices) {
    const by = [ME, 'ben', 'cho'][who]!;
    const chats = log.chats(by).filter(({ deleted }) => !deleted);
    const chat = chats[which % Math.max(chats.length, 1)];
    log.add(deedOf({ by, what, which, quiet, chat }));
  }
  return log;
}

function deedOf({
  by,
  what,
  which,
  quiet,
  chat,
}: Omit<Choice, 'who'> & { by: string; chat: ReturnType<ModelLog['chats']>[number] | undefined }): EntryInput {
  if (what === 9) return { kind: quiet ? 'add:member' : 'paint:room', by, ...(quiet && { quiet }) };
  const replyTo = chat && what % 2 === 0 ? { replyTo: chat.seq } : {};
  if (!chat || what < 4) return { kind: 'create:chat', by, message: `text ${which}`, clientId: `c${which}`, ...replyTo };
  const chatSeq = chat.seq;
  if (what === 4) return { kind: 'delete:chat', by, chatSeq };
  if (what < 7) return { kind: 'update:chat', by, chatSeq, message: `edit ${which}` };
  const reaction = REACTIONS[which % REACTIONS.length]!;
  const isGiven = chat.reactions?.some((each) => each.reaction === reaction && each.mine);
  return { kind: isGiven ? 'remove:reaction' : 'add:reaction', by, chatSeq, reaction };
}

test('the timeline equals a fresh load, however a log is split into a page, repeated entries and late entries', () => {
  fc.assert(
    fc.property(
      fc.array(choice, { maxLength: 60, size: 'max' }),
      fc.record({ start: fc.nat(60), read: fc.nat(60), limit: fc.integer({ min: 1, max: 70 }) }),
      fc.array(fc.nat(100), { maxLength: 20, size: 'max' }),
      (choices, { start, read, limit }, repeats) => {
        const whole = logOf(choices);
        const position = Math.min(start, whole.head);
        const asOf = Math.min(position + read, whole.head);
        const timeline = new ChatWindow({ me: ME, position: whole.positionAt(position), maxChats: 1_000 });
        timeline.beginLoad();
        const known = logOf(choices.slice(0, asOf));
        timeline.insertPage({ ...known.page(ME, { before: position + 1, limit }), epoch: 'e1' }, 'before', position + 1);
        const entries = whole.broadcastAfter(0).map(entryOf);
        for (const entry of entries) {
          timeline.applyEntry(entry);
          const again = entries[repeats[entry.seq % Math.max(repeats.length, 1)] ?? entries.length];
          if (again && again.seq <= timeline.position.seq) expect(timeline.applyEntry(again)).toBe('known');
        }
        const first = timeline.chats[0]?.seq ?? 0;
        expect(timeline.chats).toEqual(whole.chats(ME).filter(({ seq }) => seq >= first));
        expect(timeline.position.id).toBe(whole.lastBroadcastIdAt(whole.head));
        expect(timeline.hasOlder).toBe(whole.chats(ME).some(({ seq }) => seq < first));
      },
    ),
    { numRuns: 500, seed },
  );
});

test('older pages that are loaded while entries arrive lose no change', () => {
  fc.assert(
    fc.property(fc.array(choice, { minLength: 2, maxLength: 60, size: 'max' }), fc.nat(60), fc.nat(60), (choices, start, read) => {
      const whole = logOf(choices);
      const position = Math.min(start, whole.head);
      const asOf = Math.min(position + read, whole.head);
      const timeline = new ChatWindow({ me: ME, position: whole.positionAt(position), maxChats: 1_000 });
      const before = timeline.edge('before');
      timeline.beginLoad();
      const page = logOf(choices.slice(0, asOf)).page(ME, { before });
      for (const payload of whole.broadcastAfter(position)) timeline.applyEntry(entryOf(payload));
      const added = timeline.insertPage({ ...page, epoch: 'e1' }, 'before', before);
      // Entries without a chat move the edge of an empty timeline: such a page is requested again.
      fc.pre(added !== undefined);
      expect(timeline.chats).toEqual(whole.chats(ME));
    }),
    { seed },
  );
});

type Move = { deliver: number } | { answer: number } | ({ limit: number } & ({ way: PageDirection } | { around: number }));

const move: fc.Arbitrary<Move> = fc.oneof(
  fc.record({ deliver: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ answer: fc.nat(9) }),
  fc.record({ way: fc.constantFrom<PageDirection>('before', 'after'), limit: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ around: fc.integer({ min: 1, max: 70 }), limit: fc.integer({ min: 1, max: 6 }) }),
);

test('a window that is moved while entries arrive has no gap, keeps its size, and equals a fresh load', () => {
  fc.assert(
    fc.property(
      fc.array(choice, { minLength: 5, maxLength: 70, size: 'max' }),
      fc.nat(70),
      fc.integer({ min: 6, max: 9 }),
      fc.array(move, { maxLength: 30, size: 'max' }),
      (choices, start, maxChats, moves) => {
        const whole = logOf(choices);
        const timeline = new ChatWindow({ me: ME, position: whole.positionAt(Math.min(start, whole.head)), maxChats });
        let asked: ((asOf: number) => number | undefined) | undefined;
        const deliver = (count: number) => {
          for (const payload of whole.broadcastAfter(timeline.position.seq).slice(0, count)) timeline.applyEntry(entryOf(payload));
        };
        const ask = (range: PageRange, put: (page: ChatPage & { epoch: string }) => number | undefined) => {
          timeline.beginLoad();
          asked = (asOf) => put({ ...whole.page(ME, range, asOf), epoch: 'e1' });
        };
        const take = (each: Move): void => {
          if ('deliver' in each) deliver(each.deliver);
          else if ('answer' in each) {
            asked?.(Math.min(timeline.position.seq + each.answer, whole.head));
            asked = undefined;
          } else if (asked) return;
          else if ('around' in each) ask({ around: each.around, limit: each.limit }, (page) => timeline.showPage(page));
          else {
            const edge = timeline.edge(each.way);
            ask({ [each.way]: edge, limit: each.limit }, (page) => timeline.insertPage(page, each.way, edge));
          }
        };
        for (const each of moves) {
          take(each);
          expectWindow(timeline, whole.chats(ME, timeline.position.seq));
          expect(timeline.chats.length).toBeLessThanOrEqual(maxChats);
        }
        deliver(whole.head);
        expect(timeline.chats).toEqual(expectWindow(timeline, whole.chats(ME)));
      },
    ),
    { numRuns: 300, seed },
  );
});

/** The part of all chats that the window shows: it has no gap, and `hasOlder` and `hasNewer` are correct. */
function expectWindow({ chats, hasOlder, hasNewer, position }: ChatWindow, all: Chat[]): Chat[] {
  const seqs = chats.map(({ seq }) => seq);
  const before = all.filter(({ seq }) => seq < (seqs[0] ?? (hasNewer ? 1 : position.seq + 1)));
  const part = all.slice(before.length, before.length + chats.length);
  expect(part.map(({ seq }) => seq)).toEqual(seqs);
  if (!hasOlder) expect(before).toEqual([]);
  if (!hasNewer) expect(all.length).toBe(before.length + chats.length);
  return part;
}

test('a window that was moved back continues to the newest chat, and then shows new ones', () => {
  const log = new ModelLog();
  for (let count = 0; count < 9; count += 1) log.add({ kind: 'create:chat', by: 'ben', message: `${count}` });
  const timeline = new ChatWindow({ me: ME, position: log.positionAt(8), maxChats: 4 });
  const load = (way: PageDirection) => {
    const edge = timeline.edge(way);
    timeline.beginLoad();
    return timeline.insertPage({ ...log.page(ME, { [way]: edge, limit: 3 }, timeline.position.seq), epoch: 'e1' }, way, edge);
  };
  const seqs = () => timeline.chats.map(({ seq }) => seq);
  expect([load('before'), load('before')]).toEqual([3, 3]);
  expect([seqs(), timeline.hasOlder, timeline.hasNewer]).toEqual([[3, 4, 5, 6], true, true]);
  timeline.applyEntry(entryOf(log.entries[8]!));
  expect(seqs()).toEqual([3, 4, 5, 6]);
  expect(load('after')).toBe(3);
  expect([seqs(), timeline.hasNewer]).toEqual([[6, 7, 8, 9], false]);
  timeline.applyEntry(entryOf(log.add({ kind: 'create:chat', by: 'ben', message: 'now' })));
  expect(seqs()).toEqual([7, 8, 9, 10]);
  timeline.beginLoad();
  timeline.showPage({ ...log.page(ME, { around: 2, limit: 4 }), epoch: 'e1' });
  expect([seqs(), timeline.hasOlder, timeline.hasNewer]).toEqual([[1, 2, 3, 4], false, true]);
});

test('an entry that does not follow changes nothing, and its relation is returned', () => {
  const log = new ModelLog();
  for (const message of ['one', 'two', 'three', 'four']) log.add({ kind: 'create:chat', by: 'ben', message });
  const timeline = new ChatWindow({ me: ME, position: log.positionAt(1), maxChats: 10 });
  const [first, second, third, fourth] = log.entries.map(entryOf);
  expect(timeline.applyEntry(fourth!)).toBe('gap');
  expect(timeline.applyEntry(first!)).toBe('known');
  expect(timeline.applyEntry({ ...second!, prev: 'another' })).toBe('fork');
  expect(timeline.applyEntry({ ...second!, epoch: 'e2' })).toBe('fork');
  expect(timeline.chats).toEqual([]);
  expect([second!, third!, fourth!].map((entry) => timeline.applyEntry(entry))).toEqual(['next', 'next', 'next']);
  expect(timeline.chats.map(({ message }) => message)).toEqual(['two', 'three', 'four']);
});

test.each([
  { kind: 'create:chat', message: undefined },
  { kind: 'create:chat', message: 7 },
  { kind: 'update:chat', chatSeq: 1 },
  { kind: 'update:chat', chatSeq: 'one', message: 'x' },
  { kind: 'add:reaction', chatSeq: 1 },
  { kind: 'add:reaction', chatSeq: {}, reaction: [] },
  { kind: 'delete:chat' },
  { kind: 'toString', chatSeq: null },
])('a malformed entry moves the position and changes nothing else: %j', (nonsense) => {
  const log = new ModelLog();
  log.add({ kind: 'create:chat', by: 'ben', message: 'kept' });
  log.add({ ...nonsense, by: 'ben' });
  const timeline = new ChatWindow({ me: ME, position: log.positionAt(0), maxChats: 10 });
  expect(log.entries.map((payload) => timeline.applyEntry(entryOf(payload)))).toEqual(['next', 'next']);
  expect(timeline.chats[0]).toMatchObject({ seq: 1, message: 'kept' });
  expect(timeline.position.seq).toBe(2);
});

test('beyond the limit the oldest chats are dropped, and can be loaded again', () => {
  const log = new ModelLog();
  for (let count = 0; count < 5; count += 1) log.add({ kind: 'create:chat', by: 'ben', message: `${count}` });
  const timeline = new ChatWindow({ me: ME, position: log.positionAt(0), maxChats: 3 });
  for (const payload of log.entries) timeline.applyEntry(entryOf(payload));
  expect(timeline.chats.map(({ seq }) => seq)).toEqual([3, 4, 5]);
  expect(timeline.hasOlder).toBe(true);
});

test('a chat that was delivered with a later text stays the same until the entry of that edit', () => {
  const log = new ModelLog();
  log.add({ kind: 'create:chat', by: 'ben', message: 'newer', edited: 2 });
  log.add({ kind: 'update:chat', by: 'ben', chatSeq: 1, message: 'newer' });
  log.add({ kind: 'create:chat', by: 'ben', message: '', deleted: true });
  log.add({ kind: 'add:reaction', by: 'ben', chatSeq: 3, reaction: '👍' });
  const timeline = new ChatWindow({ me: ME, position: log.positionAt(0), maxChats: 9 });
  const place = (seq: number) => ({ seq, id: `e1-${seq}`, at: 1_000 + seq, username: 'ben' });
  const [first, ...others] = log.entries.map(entryOf);
  timeline.applyEntry(first!);
  expect(timeline.chats).toEqual([{ ...place(1), message: 'newer', edited: 2 }]);
  for (const entry of others) timeline.applyEntry(entry);
  expect(timeline.chats).toEqual([
    { ...place(1), message: 'newer', edited: 2 },
    { ...place(3), message: null, deleted: true },
  ]);
});

test('a chat of a page beyond the position is left out: it arrives as an entry', () => {
  const log = new ModelLog();
  for (const message of ['one', 'two', 'three']) log.add({ kind: 'create:chat', by: 'ben', message });
  const timeline = new ChatWindow({ me: ME, position: log.positionAt(0), maxChats: 9 });
  timeline.reset(log.page(ME), log.positionAt(2));
  expect(timeline.chats.map(({ seq }) => seq)).toEqual([1, 2]);
  expect(timeline.applyEntry(entryOf(log.entries[2]!))).toBe('next');
});

test('an older page that does not end at the first chat is not inserted', () => {
  const log = new ModelLog();
  for (let count = 0; count < 3; count += 1) log.add({ kind: 'add:member', by: 'ben' });
  const timeline = new ChatWindow({ me: ME, position: log.positionAt(2), maxChats: 9 });
  timeline.beginLoad();
  timeline.applyEntry(entryOf(log.entries[2]!));
  expect(timeline.insertPage({ ...log.page(ME, { before: 3 }), epoch: 'e1' }, 'before', 3)).toBeUndefined();
  expect(timeline.insertPage({ ...log.page(ME, { before: 4 }), epoch: 'e1' }, 'before', 4)).toBeUndefined();
  timeline.beginLoad();
  expect(timeline.insertPage({ ...log.page(ME, { before: 4 }), epoch: 'e2' }, 'before', 4)).toBeUndefined();
  timeline.beginLoad();
  expect(timeline.insertPage({ ...log.page(ME, { before: 4 }), epoch: 'e1' }, 'before', 4)).toBe(0);
});
