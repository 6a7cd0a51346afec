/** Reads pages of chats in their current state, each page within the byte budget of a response. */
import { type Chat, ChatError, type RequestPayload, type ResponsePayload } from '@engawa/protocol';
import type { Entry, Page, RoomFacts, Store } from '../store/contract.ts';
import { replyField } from './chats.ts';
import type { Caller } from './command.ts';
import { MAX_CHAT_BYTES, ResponseBudget } from './response-budget.ts';
import { type ChatValue, chatKey, decodeReaction, reactionFamily, reactionKey } from './room-keys.ts';

export async function listChats(
  store: Store,
  request: RequestPayload<'list:chats'>,
  caller: Caller,
): Promise<ResponsePayload<'list:chats'>> {
  return readChatPage(store, request, { author: caller.author, budget: new ResponseBudget().limitedTo(request.bytes) });
}

/** For whom chats are read, and the byte budget. */
interface ReadChatPageOptions {
  /** The author whose reactions are marked as their own. */
  author: string;
  budget: ResponseBudget;
}

/**
 * Reads the chats nearest to the requested position, as many as fit into the budget, but at least one. It does not check access.
 * It reads again if the room got a new epoch between the two reads.
 */
export async function readChatPage(
  store: Store,
  request: RequestPayload<'list:chats'>,
  { author, budget }: ReadChatPageOptions,
): Promise<ResponsePayload<'list:chats'>> {
  const { roomId } = request;
  for (;;) {
    const page = await readChatEntries(store, request, budget.remaining);
    const { epoch, head: seq, lastBroadcastId, older, newer, hasMore } = page;
    if (epoch === null) throw new ChatError('room_not_found');
    const stateReader = new ChatStateReader(store, { roomId, epoch, author });
    const olderBudget = request.around === undefined ? budget : budget.takeHalf();
    const before = older.length === 0 && newer.length > 0 ? [] : await stateReader.read(older.toReversed(), olderBudget);
    const after = await stateReader.read(newer, budget);
    if (stateReader.snapshot?.epoch !== epoch) continue;
    const chats = [...before.toReversed(), ...after];
    const beyond = { before: hasMore.before || before.length < older.length, after: hasMore.after || after.length < newer.length };
    return { roomId, epoch, seq, lastId: lastBroadcastId, chats, asOf: stateReader.snapshot.head, hasMore: beyond };
  }
}

/** Entries on both sides of the requested position. */
interface ChatEntryPage extends Omit<Page, 'entries' | 'hasMore'> {
  older: Entry[];
  newer: Entry[];
  hasMore: { before: boolean; after: boolean };
}

async function readChatEntries(store: Store, request: RequestPayload<'list:chats'>, bytes: number): Promise<ChatEntryPage> {
  const { roomId, before, after, around, limit } = request;
  if (around !== undefined) return readEntriesAround(store, roomId, { around, limit, bytes });
  if (after !== undefined) {
    const { entries, hasMore, ...page } = await store.readPage(roomId, { after, limit, bytes, listed: true });
    return { ...page, older: [], newer: entries, hasMore: { before: await hasChatsBefore(store, roomId, after + 1), after: hasMore } };
  }
  const { entries, hasMore, ...page } = await store.readPage(roomId, {
    limit,
    bytes,
    listed: true,
    ...(before !== undefined && { before }),
  });
  const hasNewer = before !== undefined && (await hasChatsAfter(store, roomId, before - 1));
  return { ...page, older: entries, newer: [], hasMore: { before: hasMore, after: hasNewer } };
}

interface AroundQuery {
  around: number;
  limit: number;
  bytes: number;
}

async function readEntriesAround(store: Store, roomId: string, { around, limit, bytes }: AroundQuery): Promise<ChatEntryPage> {
  const half = { bytes: Math.floor(bytes / 2), listed: true };
  const older = await store.readPage(roomId, { before: around + 1, limit: Math.ceil(limit / 2), ...half });
  const { entries, hasMore, ...page } = await store.readPage(roomId, { after: around, limit: Math.max(Math.floor(limit / 2), 1), ...half });
  return { ...page, older: older.entries, newer: entries, hasMore: { before: older.hasMore, after: hasMore } };
}

const hasChatsBefore = async (store: Store, roomId: string, before: number): Promise<boolean> =>
  (await store.readPage(roomId, { before, limit: 1, listed: true })).entries.length > 0;
const hasChatsAfter = async (store: Store, roomId: string, after: number): Promise<boolean> =>
  (await store.readPage(roomId, { after, limit: 1, listed: true })).entries.length > 0;

/** Chats of one read. Their reactions are not part of the page's byte limit. */
const MAX_CHATS_PER_READ = 100;

/**
 * Reads the current state of the chats of a page. The current texts are not part of the page's byte limit, so each read asks only
 * for as many chats as fit if all of them have the maximum size. The result is one snapshot: if the room changes between two
 * reads, only the chats of the first are returned.
 */
class ChatStateReader {
  readonly #store: Store;
  readonly #scope: { roomId: string; epoch: string; author: string };
  snapshot: Snapshot | undefined;
  #isExhausted = false;

  constructor(store: Store, scope: { roomId: string; epoch: string; author: string }) {
    this.#store = store;
    this.#scope = scope;
  }

  /** Returns the chats that fit, from the first one. The first read returns at least one chat. */
  async read(entries: Entry[], budget: ResponseBudget): Promise<Chat[]> {
    const result: Chat[] = [];
    while (!this.snapshot || (!this.#isExhausted && result.length < entries.length && budget.remaining >= MAX_CHAT_BYTES)) {
      const batch = takeBatch(entries.slice(result.length), budget.remaining);
      const { chats, snapshot } = await this.#loadChatStates(batch);
      this.snapshot ??= snapshot;
      const isSameSnapshot = snapshot.epoch === this.#scope.epoch && snapshot.head === this.snapshot.head;
      const fitting = isSameSnapshot ? budget.takeFitting(chats) : [];
      this.#isExhausted = !isSameSnapshot || fitting.length < batch.length;
      result.push(...fitting);
    }
    return result;
  }

  /** Two reads for any number of chats: their states, and the author's own reactions. */
  async #loadChatStates(entries: Entry[]): Promise<{ snapshot: Snapshot; chats: Chat[] }> {
    const seqs = entries.map(({ seq }) => seq);
    const facts = await this.#store.read(this.#scope.roomId, { keys: seqs.map(chatKey), counts: seqs.map(reactionFamily) });
    const reactions = new Map(seqs.map((seq) => [seq, reactionCountsOf(facts, seq)]));
    const isMine = await this.#findOwnReactions(reactions);
    const chats = entries.map((entry) => {
      const counts = (reactions.get(entry.seq) ?? []).map((each) => ({ ...each, ...(isMine(entry.seq, each) && { mine: true as const }) }));
      return toChat(entry, facts, counts);
    });
    return { snapshot: facts, chats };
  }

  /** Finds which of the reactions are the author's own. */
  async #findOwnReactions(reactions: Map<number, ReactionCount[]>): Promise<(seq: number, reaction: ReactionCount) => boolean> {
    const keyOf = (seq: number, { reaction }: ReactionCount) => reactionKey(seq, reaction, this.#scope.author);
    const keys = [...reactions].flatMap(([seq, counted]) => counted.map((each) => keyOf(seq, each)));
    const ownKeys = keys.length > 0 ? (await this.#store.read(this.#scope.roomId, { keys })).keys : new Map<string, unknown>();
    return (seq, reaction) => ownKeys.has(keyOf(seq, reaction));
  }
}

type Snapshot = Pick<RoomFacts, 'epoch' | 'head'>;

/** Takes as many entries as fit whatever their current state is: a text that replaced another may have any size. */
function takeBatch(entries: Entry[], bytes: number): Entry[] {
  const maxErased = Math.max(1, Math.floor(bytes / MAX_CHAT_BYTES));
  const erased = entries.filter(({ body }) => body === null);
  const end = erased[maxErased]?.seq;
  const batch =
    end === undefined
      ? entries
      : entries.slice(
          0,
          entries.findIndex(({ seq }) => seq === end),
        );
  return batch.slice(0, MAX_CHATS_PER_READ);
}

interface ReactionCount {
  reaction: string;
  count: number;
}

function reactionCountsOf(facts: RoomFacts, seq: number): ReactionCount[] {
  return [...(facts.counts.get(reactionFamily(seq)) ?? [])].map(([family, count]) => ({ reaction: decodeReaction(family), count }));
}

function toChat(entry: Entry, facts: RoomFacts, reactions: NonNullable<Chat['reactions']>): Chat {
  const { seq, id, at, by: username, body } = entry;
  const state = facts.keys.get(chatKey(seq));
  const position = { seq, id, at, username };
  if (!state) {
    const { message, clientId } = (body ?? {}) as { message?: string; clientId?: string };
    const content = { message: message ?? null, ...(clientId !== undefined && { clientId }), ...replyField(body) };
    return { ...position, ...content, ...(reactions.length > 0 && { reactions }) };
  }
  const value = state.value as unknown as ChatValue;
  if ('deleted' in value) return { ...position, message: null, deleted: true };
  return { ...position, ...value, edited: state.seq, ...(reactions.length > 0 && { reactions }) };
}
