/** The chats that others reply to, for lines that say so: those that were told lately, and, asked for one by one, those that were not. */
import type { Chat, HistoryRange, MissedEntry, Result } from '@engawa/client';

/** What a reply answers, as it stands. */
export interface ReplyTarget {
  seq: number;
  username: string;
  /** Null when it was deleted. */
  message: string | null;
}

/** What is remembered, in chats and in code units of their texts. */
const MAX_CACHED_CHATS = 1_000;
const MAX_CACHED_UNITS = 500_000;

/** The room that a chat is of, and the life of its log. */
interface RoomLog {
  room: { history(range: HistoryRange): Promise<Result<'list:chats'>> };
  epoch: string;
}

export class ReplyTargets {
  /** By seq, the latest last. */
  readonly #cache = new Map<number, ReplyTarget>();
  #units = 0;
  #epoch = '';

  /** A chat was told. */
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

  /** An entry that is about a chat: it may be another one now. */
  invalidate(entry: MissedEntry): void {
    if ('chatSeq' in entry && typeof entry.chatSeq === 'number') this.#forget(entry.chatSeq);
  }

  /** Nothing when the room has it no more. */
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

/** What the chat replies to, if it does and the room has that. */
export async function findReplyTarget(
  { replyTo }: Chat,
  { targets, ...of }: RoomLog & { targets: ReplyTargets },
): Promise<ReplyTarget | undefined> {
  return replyTo === undefined ? undefined : targets.find(replyTo, of);
}
