// Tests of the history window against a model room.

import { HistoryWindow } from '@engawa/chat-view';
import type { Chat, MissedEntry, TimelineChat } from '@engawa/client';
import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';

const WINDOW_LIMITS = { pageSize: 5, maxLoaded: 12, debounceMs: 0 };
const TIMELINE_CHATS = 6;

const timelineOf = (room: ArrayRoom) => ({
  get chats(): readonly TimelineChat[] {
    return room.newest;
  },
  get hasOlder(): boolean {
    return room.whole.length > TIMELINE_CHATS;
  },
});

/** A room whose log is an array. Pages are answered when the test allows it, and `lag` makes the answers outdated. */
class ArrayRoom {
  #chats: Chat[] = [];
  #past: { seq: number; chats: Chat[] }[] = [];
  #seq = 1;
  lag = 0;
  waiting: (() => void)[] = [];
  deliver: (entry: MissedEntry) => void = () => undefined;
  #shown: TimelineChat[] | undefined;

  get position() {
    return { epoch: 'e', seq: this.#seq, id: `${this.#seq}` };
  }

  get whole(): readonly Chat[] {
    return this.#chats;
  }

  readonly timeline = timelineOf(this);

  get newest(): readonly TimelineChat[] {
    this.#shown ??= this.#chats.slice(-TIMELINE_CHATS);
    return this.#shown;
  }

  say(): void {
    const seq = this.#next();
    this.#put([...this.#chats, { seq, id: `${seq}`, at: seq, username: 'aya', message: `chat ${seq}` }]);
    this.#received({ kind: 'create:chat', seq });
  }

  edit(place: number): void {
    const chat = this.#chats[Math.floor(place * this.#chats.length)];
    if (!chat) return;
    const seq = this.#next();
    const edited = { ...chat, message: `edited by ${seq}`, edited: seq };
    this.#put(this.#chats.map((each) => (each.seq === chat.seq ? edited : each)));
    this.#received({ kind: 'update:chat', seq, chatSeq: chat.seq });
  }

  /** A page, answered when the test allows it, and outdated by `lag`. */
  history = (range: { before?: number; after?: number; around?: number; limit?: number }) => {
    const state = this.#past.at(-1 - this.lag) ?? this.#past.at(-1) ?? { seq: 1, chats: [] };
    return new Promise<never>((resolve) => this.waiting.push(() => resolve(pageOf(state, range) as never)));
  };

  #next(): number {
    this.#seq += 1;
    return this.#seq;
  }

  #put(chats: Chat[]): void {
    this.#chats = chats;
    this.#shown = undefined;
    this.#past = [...this.#past.slice(-3), { seq: this.#seq, chats }];
  }

  #received(entry: object): void {
    this.deliver(entry as MissedEntry);
  }
}

function pageOf(
  { seq, chats }: { seq: number; chats: Chat[] },
  range: { before?: number; after?: number; around?: number; limit?: number },
) {
  const { before, after, around, limit = 50 } = range;
  const to = before === undefined ? chats.length : chats.findLastIndex((chat) => chat.seq < before) + 1;
  let first = Math.max(0, to - limit);
  if (after !== undefined) first = chats.findIndex((chat) => chat.seq > after);
  if (around !== undefined) first = Math.max(0, chats.findIndex((chat) => chat.seq >= around) - Math.floor(limit / 2));
  if (first < 0) first = chats.length;
  const end = before === undefined ? Math.min(chats.length, first + limit) : to;
  return {
    ok: true,
    epoch: 'e',
    seq,
    asOf: seq,
    chats: chats.slice(first, end),
    hasMore: { before: first > 0, after: end < chats.length },
  };
}

type Step =
  | { do: 'say' | 'older' | 'newer' | 'hold' | 'follow' | 'oldest' | 'answer' }
  | { do: 'edit' | 'around'; place: number }
  | { do: 'lag'; by: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constantFrom('say', 'older', 'newer', 'hold', 'follow', 'oldest', 'answer', 'older', 'say', 'answer') }),
    fc.record({ do: fc.constantFrom('edit', 'around'), place: fc.double({ min: 0, max: 0.999, noNaN: true }) }),
    fc.record({ do: fc.constant('lag' as const), by: fc.nat({ max: 2 }) }),
  ),
  { maxLength: 60 },
);

test('any mix of new, changed, loaded and late chats shows a gapless, current range of the room', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: 40 }), steps, async (before, all) => {
      const room = new ArrayRoom();
      for (let each = 0; each < before; each += 1) room.say();
      const window = new HistoryWindow(room, () => undefined, WINDOW_LIMITS);
      room.deliver = (entry) => window.onEntry(entry);
      for (const step of all) {
        take(step, room, window);
        await Promise.resolve();
        expectStretch(room, window);
      }
      room.lag = 0;
      await settled(room);
      expect(window.chats).toEqual(expectStretch(room, window));
      if (window.isNewest) expect(window.chats.at(-1)?.message).toBe(room.whole.at(-1)?.message);
      window.close();
    }),
    { seed, numRuns: 150 },
  );
});

function take(step: Step, room: ArrayRoom, window: HistoryWindow): void {
  if (step.do === 'say') room.say();
  if (step.do === 'edit') room.edit(step.place);
  if (step.do === 'older') void window.loadOlder();
  if (step.do === 'newer') void window.loadNewer();
  if (step.do === 'hold') window.pin();
  if (step.do === 'follow') window.followNewest();
  if (step.do === 'oldest') void window.loadOldest();
  if (step.do === 'around') void window.loadAround(room.whole[Math.floor(step.place * room.whole.length)]?.seq ?? 1);
  if (step.do === 'lag') room.lag = step.by;
  if (step.do === 'answer') room.waiting.shift()?.();
}

/** Expects that the window shows a bounded part of the room without gaps. */
function expectStretch(room: ArrayRoom, window: HistoryWindow): readonly Chat[] {
  const { chats } = window;
  const first = room.whole.findIndex(({ seq }) => seq === (chats[0] as Chat | undefined)?.seq);
  const stretch = first < 0 ? [] : room.whole.slice(first, first + chats.length);
  expect(chats.map((chat) => (chat as Chat).seq)).toEqual(stretch.map(({ seq }) => seq));
  expect(chats.length).toBeLessThanOrEqual(WINDOW_LIMITS.maxLoaded + TIMELINE_CHATS);
  return stretch;
}

/** Resolves when all pages have arrived and all changes are loaded. */
async function settled(room: ArrayRoom): Promise<void> {
  for (let calm = 0; calm < 5; calm += 1) {
    if (room.waiting.length > 0) calm = 0;
    for (const answer of room.waiting.splice(0)) answer();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test('a window that is closed during an update sends no further request', async () => {
  const room = new ArrayRoom();
  for (let each = 0; each < 30; each += 1) room.say();
  const window = new HistoryWindow(room, () => undefined, WINDOW_LIMITS);
  room.deliver = (entry) => window.onEntry(entry);
  void window.loadOldest();
  await settled(room);
  room.edit(0);
  await vi.waitUntil(() => room.waiting.length === 1);
  window.close();
  room.waiting.shift()?.();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(room.waiting).toEqual([]);
});

test('scrolling back reaches the first chat, and scrolling forward the newest', async () => {
  const room = new ArrayRoom();
  for (let each = 0; each < 100; each += 1) room.say();
  const window = new HistoryWindow(room, () => undefined, WINDOW_LIMITS);
  const load = async (loading: Promise<boolean>) => {
    await Promise.resolve();
    await Promise.resolve();
    room.waiting.shift()?.();
    return loading;
  };
  const seen = new Set<string | null>();
  const look = () => {
    for (const { message } of window.chats) seen.add(message);
  };
  while (window.hasOlder) {
    expect(await load(window.loadOlder())).toBe(true);
    look();
  }
  expect(window.chats[0]).toEqual(room.whole[0]);
  expect(window.isNewest).toBe(false);
  expect(seen.size).toBe(100);
  seen.clear();
  while (!window.isNewest) {
    look();
    expect(await load(window.loadNewer())).toBe(true);
  }
  look();
  expect(seen.size).toBe(100);
  room.say();
  expect(window.chats.at(-1)).toEqual(room.whole.at(-1));
  window.close();
});
