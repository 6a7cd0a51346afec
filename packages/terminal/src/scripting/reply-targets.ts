// Cache of chats that others reply to, so that a printed reply can quote its target.
import type { Chat, HistoryRange, MissedEntry, Result } from '@engawa/client';

/** The chat that a reply refers to, in its current state. */
export interface ReplyTarget {
  seq: number;
  username: string;
  /** Null if the chat was deleted. */
  message: string | null;
}

/** Limits of the cache: chats, and code units of their texts. */
const MAX_CACHED_CHATS = 1_000;
const MAX_CACHED_UNITS = 500_000;

/** A room and the epoch of its log. */
interface RoomLog {
  room: { history(range: HistoryRange): Promise<Result<'list:chats'>> };
  epoch: string;
}

export class ReplyTargets {
  /** By seq, the most recent last. */
  readonly #cache = new Map<number, ReplyTarget>();
  #units = 0;
  #epoch = '';

  /** Adds a chat that was delivered. */
  add({ seq, username, message }: Chat, epoch: string): void {
    if (epoch !== this.#epoch) this.#reset(epoch);
    this.#forget(seq);
    this.#cache.set(seq, { seq, username, message });
    this.#units += message?.length ?? 0;
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= MAX_CACHED_CHATS && this.#units <= MAX_CACHED_UNITS) break;
      this.#forget(oldest);
    }
  }

  /** Forgets the chat that an entry has changed. */
  invalidate(entry: MissedEntry): void {
    if ('chatSeq' in entry && typeof entry.chatSeq === 'number') this.#forget(entry.chatSeq);
  }

  /** Undefined if the room no longer has the chat. */
  async find(seq: number, { room, epoch }: RoomLog): Promise<ReplyTarget | undefined> {
    const known = epoch === this.#epoch ? this.#cache.get(seq) : undefined;
    if (known) return known;
    const page = await room.history({ around: seq, limit: 1 });
    const chat = page.ok && page.epoch === epoch ? page.chats.find((each) => each.seq === seq) : undefined;
    if (chat) this.add(chat, epoch);
    return chat && { seq, username: chat.username, message: chat.message };
  }

  #forget(seq: number): void {
    this.#units -= this.#cache.get(seq)?.message?.length ?? 0;
    this.#cache.delete(seq);
  }

  #reset(epoch: string): void {
    this.#cache.clear();
    this.#units = 0;
    this.#epoch = epoch;
  }
}

/** The chat that this one replies to; undefined if it is no reply or the target is unknown. */
export async function findReplyTarget(
  { replyTo }: Chat,
  { targets, ...of }: RoomLog & { targets: ReplyTargets },
): Promise<ReplyTarget | undefined> {
  return replyTo === undefined ? undefined : targets.find(replyTo, of);
}
