/** The domain against a model: the result of any sequence of commands, and invariants under concurrent commands. */
import { ChatError, type CommandName, type RequestPayload, type Retention } from '@engawa/protocol';
import type { AppendRequest, AppendResult, Entry, Store } from '@engawa/server';
import { seed } from '@engawa/testkit/seed';
import { isOnRedis, newStore } from '@engawa/testkit/stores';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { listChats } from '#domain/chat-pages.js';
import { createChat, createChats, deleteChat, updateChat } from '#domain/chats.js';
import type { CommandRule } from '#domain/command.js';
import { comparisonForms } from '#domain/confusables.js';
import { executeCommand } from '#domain/execute-command.js';
import { addMember, listMembers, removeMember } from '#domain/members.js';
import { addReaction, removeReaction } from '#domain/reactions.js';
import { chatKey, foldName, memberFamily, memberKey, reactionKey, settingsKey, skeletonKey } from '#domain/room-keys.js';
import { createRoom, deleteRoom, updateRoom } from '#domain/rooms.js';

const roomId = 'veranda';
/** Runs that are fast in memory take minutes over a network. */
const RUNS = isOnRedis ? 60 : 2_000;
const timeout = 120_000;
/** One of three possible members. */
const largeRoom = 2;
const headroom = { writeRetryAfterMs: 0, roomsPerSession: null, roomBytes: null, exceededRoomQuota: undefined, storageShare: 0 };

const rules: { [E in CommandName]: CommandRule<E> } = {
  'create:room': createRoom,
  'add:member': addMember,
  'remove:member': removeMember,
  'create:chat': createChat,
  'create:chats': createChats,
  'update:chat': updateChat,
  'delete:chat': deleteChat,
  'add:reaction': addReaction,
  'remove:reaction': removeReaction,
  'update:room': updateRoom,
  'delete:room': deleteRoom,
};

type Step = { [E in CommandName]: { event: E; author: string; ask: RequestPayload<E> } }[CommandName];

/** A name that is confusable with `a/b`: its first letter is Cyrillic. */
const LOOK_ALIKE = 'а/b';

/** Mostly under the own name, so that most commands succeed; sometimes under any. */
const speaker = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(['α', 'aya'], ['α', 'Aya'], ['β', 'a/b'], ['γ', 'a%2Fb']) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('α', 'β', 'γ'), fc.constantFrom('aya', 'a/b', 'a%2Fb', LOOK_ALIKE)) },
);
const message = fc.string({ minLength: 1, maxLength: 5 });
const chatSeq = fc.integer({ min: 2, max: 9 });
const replyTo = fc.option(chatSeq, { nil: undefined, freq: 2 });
const chats = fc.array(fc.record({ message, replyTo }), { minLength: 1, maxLength: 3 });
const reaction = fc.constantFrom('👍', '/', '%');
const retention = fc.constantFrom({}, { maxCount: 3 }, { maxAge: 60_000, maxBytes: 5 });
const clientId = fc.option(fc.constantFrom('c1', 'c2', 'c3', 'c4', 'c5'), { nil: undefined, freq: 2 });

function step<E extends CommandName>(event: E, fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Step> {
  const ask = fc.record({ roomId: fc.constant(roomId), clientId, ...fields });
  return fc.tuple(speaker, ask).map(([[author, username], asked]) => ({ event, author, ask: { ...asked, username } }) as unknown as Step);
}

const opening = { event: 'create:room', author: 'α', ask: { roomId, username: 'aya' } } as Step;

const steps = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: step('create:room', {}) },
    { weight: 5, arbitrary: step('add:member', {}) },
    { weight: 2, arbitrary: step('remove:member', {}) },
    { weight: 8, arbitrary: step('create:chat', { message, replyTo }) },
    { weight: 3, arbitrary: step('create:chats', { chats }) },
    { weight: 4, arbitrary: step('update:chat', { chatSeq, message }) },
    { weight: 3, arbitrary: step('delete:chat', { chatSeq }) },
    { weight: 5, arbitrary: step('add:reaction', { chatSeq, reaction }) },
    { weight: 3, arbitrary: step('remove:reaction', { chatSeq, reaction }) },
    { weight: 1, arbitrary: step('update:room', { topic: message }) },
    { weight: 1, arbitrary: step('update:room', { retention }) },
    { weight: 1, arbitrary: step('update:room', { topic: message, retention }) },
    { weight: 1, arbitrary: step('delete:room', {}) },
  ),
  { minLength: 5, maxLength: 40, size: 'max' },
);

/** The answer to a command: its seq, or the code of its refusal. */
async function take(store: Store, { event, author, ask }: Step): Promise<{ seq: number; outcome: string } | { code: string }> {
  try {
    const rule = rules[event] as unknown as CommandRule<'create:chat'>;
    const caller = { author, node: 'node', username: ask.username, largeRoomThreshold: largeRoom, headroom };
    return await executeCommand({ store, rule, command: ask as RequestPayload<'create:chat'>, caller });
  } catch (error) {
    if (error instanceof ChatError) return { code: error.code };
    throw error;
  }
}

interface ModelChat {
  author: string;
  message: string | null;
  replyTo: number | undefined;
  reactions: Map<string, Set<string>>;
}

type Said = { message: string; replyTo?: number };
type Asked = { username: string; chatSeq: number; reaction: string; replyTo?: number; chats: Said[] };

/** The model of a room: no log, no keys, no expected versions. */
class Model {
  head = 0;
  owner: string | undefined;
  ownerName = '';
  topic = '';
  retention: Retention | undefined;
  readonly members = new Map<string, string>();
  /** Seqs of entries that are not broadcast to other members. */
  readonly quiet: number[] = [];
  readonly chats = new Map<number, ModelChat>();
  readonly once = new Map<string, number>();

  take({ event, author, ask }: Step): { seq: number } | { code: string } {
    const once = ask.clientId === undefined ? undefined : `${author}:${ask.clientId}`;
    const repeated = once === undefined ? undefined : this.once.get(once);
    const answer = this.decide(event, author, ask as never);
    if (repeated !== undefined) return { seq: repeated };
    if (typeof answer === 'string') return { code: answer };
    if (answer > 0) this.change(event, author, ask as never);
    if (answer > 0 && once !== undefined && this.owner !== undefined) this.once.set(once, this.head);
    return { seq: event === 'delete:room' ? this.head + 1 : this.head };
  }

  /** How many entries the command adds, or why it is refused. */
  private decide(event: CommandName, author: string, ask: Asked): number | string {
    if (event === 'create:room') return this.owner === undefined ? 2 : 'room_exists';
    if (this.owner === undefined) return 'room_not_found';
    const holder = this.members.get(foldName(ask.username));
    if (event === 'add:member' && holder === undefined) return this.refusalOf(ask.username, author) ?? 1;
    if (event === 'add:member') return holder === author ? 0 : 'name_taken';
    if (event === 'remove:member') return holder === undefined ? 0 : holder === author ? 1 : 'not_a_member';
    if (holder !== author) return 'not_a_member';
    if (event === 'create:chat') return ask.replyTo === undefined || this.chats.has(ask.replyTo) ? 1 : 'chat_not_found';
    if (event === 'create:chats')
      return ask.chats.every(({ replyTo }) => replyTo === undefined || this.chats.has(replyTo)) ? ask.chats.length : 'chat_not_found';
    if (event === 'update:room' || event === 'delete:room') return author === this.owner ? 1 : 'not_allowed';
    return this.decideOnChat(event, author, ask);
  }

  /** Why an unused name is reserved for the owner. */
  private refusalOf(username: string, author: string): string | undefined {
    const name = foldName(username);
    const reserved = author === this.owner ? [] : [foldName(this.ownerName)];
    if (reserved.includes(name)) return 'name_taken';
    // Confusable names are reserved for the owner, too.
    if (reserved.length === 0 && lookOf(foldName(this.ownerName)) === lookOf(name)) return undefined;
    return [...this.members.keys(), ...reserved].some((other) => lookOf(other) === lookOf(name)) ? 'name_confusable' : undefined;
  }

  private decideOnChat(event: CommandName, author: string, { chatSeq, reaction }: Asked) {
    const chat = this.chats.get(chatSeq);
    if (!chat) return 'chat_not_found';
    const isReaction = event === 'add:reaction' || event === 'remove:reaction';
    if (!isReaction && chat.author !== author && this.owner !== author) return 'not_allowed';
    if (chat.message === null) return event === 'delete:chat' ? 0 : 'chat_not_found';
    if (!isReaction) return 1;
    return (chat.reactions.get(reaction)?.has(author) ?? false) === (event === 'add:reaction') ? 0 : 1;
  }

  private change(event: CommandName, author: string, ask: Asked & { message: string; topic?: string; retention?: Retention }): void {
    const name = foldName(ask.username);
    const chat = this.chats.get(ask.chatSeq);
    this.head += event === 'create:room' ? 2 : event === 'create:chats' ? ask.chats.length : 1;
    if ((event === 'add:member' || event === 'remove:member') && this.members.size >= largeRoom) this.quiet.push(this.head);
    if (event === 'create:room') Object.assign(this, { owner: author, ownerName: ask.username });
    if (event === 'create:room' || event === 'add:member') this.members.set(name, author);
    if (event === 'remove:member') this.members.delete(name);
    const { message, replyTo } = ask;
    if (event === 'create:chats')
      for (const [index, said] of ask.chats.entries())
        this.chats.set(this.head - ask.chats.length + 1 + index, { author, ...said, replyTo: said.replyTo, reactions: new Map() });
    if (event === 'create:chat') this.chats.set(this.head, { author, message, replyTo, reactions: new Map() });
    if (event === 'update:chat' && chat) chat.message = ask.message;
    if (event === 'delete:chat' && chat) chat.message = null;
    if (event === 'add:reaction') chat?.reactions.set(ask.reaction, (chat.reactions.get(ask.reaction) ?? new Set()).add(author));
    if (event === 'remove:reaction') chat?.reactions.get(ask.reaction)?.delete(author);
    if (event === 'update:room') this.topic = ask.topic ?? this.topic;
    if (event === 'update:room') this.retention = ask.retention ?? this.retention;
    if (event === 'delete:room') this.end();
  }

  private end(): void {
    this.head -= 1;
    const { head } = this;
    Object.assign(this, new Model(), { head });
  }
}

test('any sequence of commands gives the answers and the state of the model', { timeout }, async () => {
  const met = new Map<string, Set<string>>();
  let quiet = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const store = await newStore();
      let model = new Model();
      for (const each of [opening, ...all]) {
        const expected = model.take(each);
        const answer = await take(store, each);
        expect('code' in answer ? answer : { seq: answer.seq }).toEqual(expected);
        met.set(each.event, (met.get(each.event) ?? new Set()).add('code' in answer ? answer.code : answer.outcome));
        if (model.owner === undefined) model = new Model();
      }
      await agree(store, model);
      const { entries } = await store.readPage(roomId, { limit: 1_000 });
      expect(entries.filter(({ quiet }) => quiet).map(({ seq }) => seq)).toEqual(model.quiet);
      quiet += model.quiet.length;
      await replayAgrees(store);
    }),
    { numRuns: RUNS, seed },
  );
  expect(quiet).toBeGreaterThan(RUNS / 10);
  // Few runs do not cover every outcome.
  if (isOnRedis) return;
  expect(Object.fromEntries([...met].map(([event, answers]) => [event, [...answers].sort()]))).toEqual({
    'create:room': ['appended', 'repeated', 'room_exists'],
    'add:member': ['appended', 'name_confusable', 'name_taken', 'repeated', 'room_not_found', 'unchanged'],
    'remove:member': ['appended', 'not_a_member', 'repeated', 'room_not_found', 'unchanged'],
    'create:chat': ['appended', 'chat_not_found', 'not_a_member', 'repeated', 'room_not_found'],
    'create:chats': ['appended', 'chat_not_found', 'not_a_member', 'repeated', 'room_not_found'],
    'update:chat': ['appended', 'chat_not_found', 'not_a_member', 'not_allowed', 'repeated', 'room_not_found'],
    'delete:chat': ['appended', 'chat_not_found', 'not_a_member', 'not_allowed', 'repeated', 'room_not_found', 'unchanged'],
    'add:reaction': ['appended', 'chat_not_found', 'not_a_member', 'repeated', 'room_not_found', 'unchanged'],
    'remove:reaction': ['appended', 'chat_not_found', 'not_a_member', 'repeated', 'room_not_found', 'unchanged'],
    'update:room': ['appended', 'not_a_member', 'not_allowed', 'repeated', 'room_not_found'],
    'delete:room': ['appended', 'not_a_member', 'not_allowed', 'repeated', 'room_not_found'],
  });
});

async function agree(store: Store, model: Model): Promise<void> {
  const [member] = model.members;
  if (!member) return;
  const [username, author] = member;
  const caller = { author, node: 'node', username, largeRoomThreshold: largeRoom, headroom };
  const { keys } = await store.read(roomId, { keys: [settingsKey] });
  const { owner, topic, retention: stored } = model;
  expect(keys.get(settingsKey)?.value).toEqual({ owner, topic, ...(stored && { retention: stored }) });
  const { members } = await listMembers(store, { roomId, limit: 500 });
  expect(members.map((each) => foldName(each.username)).sort()).toEqual([...model.members.keys()].sort());
  const { chats } = await listChats(store, { roomId, limit: 500 }, caller);
  const shown = chats.map(({ seq, message, replyTo, reactions = [] }) => ({
    seq,
    message,
    replyTo,
    reactions: reactions.map(({ reaction, count }) => [reaction, count]).sort(),
  }));
  const expected = [...model.chats].map(([seq, { message, replyTo, reactions }]) => ({
    seq,
    message,
    replyTo: message === null ? undefined : replyTo,
    reactions: message === null ? [] : counted(reactions),
  }));
  expect(shown).toEqual(expected);
}

const lookOf = (name: string): string => name.replaceAll('а', 'a');

const counted = (reactions: Map<string, Set<string>>) =>
  [...reactions]
    .filter(([, authors]) => authors.size > 0)
    .map(([reaction, authors]) => [reaction, authors.size])
    .sort();

test('under concurrent commands names are unique, the order is total, a client id is stored once, and keys equal a replay', {
  timeout,
}, async () => {
  const outcomes = { appended: 0, repeated: 0, stale: 0 };
  await fc.assert(
    fc.asyncProperty(steps, fc.scheduler(), async (all, scheduler) => {
      const store = await newStore();
      const late = scheduled(store, scheduler, outcomes);
      const half = Math.ceil(all.length / 2);
      for (const each of [opening, ...all.slice(0, half)]) await take(store, each);
      const taken = Promise.all(all.slice(half).map((each) => take(late, each)));
      await scheduler.waitIdle();
      await taken;
      await replayAgrees(store);
      const { entries } = await store.readPage(roomId, { limit: 1_000 });
      expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1));
      const clientIds = entries
        .filter(({ body }) => body?.clientId !== undefined)
        .map(({ author, body }) => `${author}:${JSON.stringify(body?.clientId)}`);
      expect(new Set(clientIds).size).toBe(clientIds.length);
    }),
    { numRuns: RUNS / 2, seed },
  );
  // In the few runs on Redis each outcome occurs, but rarely.
  expect(Math.min(...Object.values(outcomes)), JSON.stringify(outcomes)).toBeGreaterThan(isOnRedis ? 0 : RUNS / 20);
});

/** What `commit` uses of the store; reads and appends happen in any order that the scheduler finds. */
function scheduled(store: Store, scheduler: fc.Scheduler, outcomes: Record<AppendResult['outcome'], number>): Store {
  const read = scheduler.scheduleFunction(store.read.bind(store));
  const append = scheduler.scheduleFunction(async (room: string, what: AppendRequest) => {
    const appended = await store.append(room, what);
    outcomes[appended.outcome] += 1;
    return appended;
  });
  return {
    read,
    append,
    findByIdempotencyKey: store.findByIdempotencyKey.bind(store),
    listTickets: store.listTickets.bind(store),
  } as unknown as Store;
}

/** Folds the log anew, by its entries alone, and compares every key that the store has. */
async function replayAgrees(store: Store): Promise<void> {
  const { entries } = await store.readPage(roomId, { limit: 1_000 });
  const keys = new Map<string, number>();
  for (const entry of entries) replay(keys, entry);
  const asked = [...new Set([...keys.keys(), settingsKey, ...entries.flatMap((entry) => keysNamedBy(entry))])];
  const facts = await store.read(roomId, { keys: asked, counts: [''] });
  expect([...facts.keys].map(([key, { seq }]) => [key, seq]).sort()).toEqual([...keys].sort());
  const members = [...keys.keys()].filter((key) => key.startsWith(`${memberFamily}/`)).length;
  expect(facts.counts.get('')?.get(memberFamily) ?? 0).toBe(members);
}

function replay(keys: Map<string, number>, entry: Entry): void {
  // The name that the first entry reserves belongs to no member.
  const isReserved = (key: string): boolean => entry.kind !== 'create:room' && keys.get(key) === 1;
  for (const key of keysNamedBy(entry)) if (key === settingsKey || !isReserved(key)) replayKey(keys, key, entry);
}

function replayKey(keys: Map<string, number>, key: string, entry: Entry): void {
  if (entry.kind === 'remove:member' || entry.kind === 'remove:reaction') {
    expect(keys.has(key), `${entry.kind} of ${key}, which is not there`).toBe(true);
    keys.delete(key);
    return;
  }
  const isNew = entry.kind === 'add:member' || entry.kind === 'add:reaction' || entry.kind === 'create:room';
  if (isNew) expect(keys.has(key), `${entry.kind} of ${key}, which is taken`).toBe(false);
  keys.set(key, entry.seq);
}

const memberKeys = (name: string): string[] => [memberKey(name), ...comparisonForms(name).slice(1).map(skeletonKey)];

function keysNamedBy({ kind, by, author, body }: Entry): string[] {
  const received = (body ?? {}) as { username: string; chatSeq: number; reaction: string };
  if (kind === 'create:room') return [settingsKey, ...comparisonForms(by).map(skeletonKey)];
  if (kind === 'update:room') return [settingsKey];
  if (kind === 'add:member') return memberKeys(by);
  if (kind === 'remove:member') return memberKeys(received.username);
  if (kind === 'update:chat' || kind === 'delete:chat') return body === null ? [] : [chatKey(received.chatSeq)];
  if (kind === 'add:reaction' || kind === 'remove:reaction') return [reactionKey(received.chatSeq, received.reaction, author)];
  return [];
}
