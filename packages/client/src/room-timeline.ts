import type { ChangingChat } from './chat-changes.ts';
import type { Follower } from './follower.ts';
import type { Outbox, OutgoingChat, OutgoingState } from './outbox.ts';
import type { Refusal, Refused } from './result.ts';

/** An own chat that the room has not told yet. */
export interface PendingChat {
  readonly clientId: string;
  readonly username: string;
  readonly message: string;
  /** The seq of the chat that it answers. */
  readonly replyTo: number | undefined;
  /** When it was written, by the clock of this machine: milliseconds since 1970. */
  readonly at: number;
  readonly state: OutgoingState;
  /** Why it failed. */
  readonly error: Refusal | undefined;
  /** Only once it is sent. */
  readonly seq: number | undefined;
  /** To `retry()` or `discard()` it. */
  readonly outgoing: OutgoingChat;
}

/**
 * What a timeline shows: chats of the room, then own ones on their way, which have a `state`. A chat is `pending` when an own edit,
 * deletion or reaction, which it shows, is on its way.
 */
export type ShownChat = (ChangingChat & { readonly state?: undefined }) | PendingChat;

const PAGE_CHATS = 50;

/** The newest chats of a room as they stand: in order, with no hole, edits, deletions and reactions applied. */
export class RoomTimeline {
  readonly #follower: Follower;
  readonly #outbox: Outbox;
  readonly #changed: () => void;
  #shown: readonly ShownChat[] | undefined;
  #loading: Promise<{ ok: true; added: number } | Refused> | undefined;

  /** @internal */
  constructor(follower: Follower, outbox: Outbox, changed: () => void) {
    this.#follower = follower;
    this.#outbox = outbox;
    this.#changed = changed;
  }

  /** The same array until something changes; what it holds never changes. */
  get chats(): readonly ShownChat[] {
    this.#shown ??= [...this.#outbox.shown(this.#follower.chats), ...this.#pending()];
    return this.#shown;
  }

  /** Whether there are chats before the first one. */
  get hasOlder(): boolean {
    return this.#follower.timeline?.hasOlder ?? false;
  }

  /**
   * Puts older chats before those that are shown, up to `maxChats` in all; `added` says how many. Waits for the
   * connection as long as it takes.
   */
  loadOlder(limit: number = PAGE_CHATS): Promise<{ ok: true; added: number } | Refused> {
    this.#loading ??= this.#load(limit).finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** @internal */
  refresh(): void {
    this.#shown = undefined;
  }

  async #load(limit: number): Promise<{ ok: true; added: number } | Refused> {
    const { roomId, timeline } = this.#follower;
    while (timeline?.hasOlder && timeline.room > 0) {
      const before = timeline.beginning;
      timeline.expectOlder();
      const page = await this.#follower.insist('list:chats', { roomId, before, limit });
      if (!page.ok) return page;
      const added = timeline.addOlder(page, before);
      if (page.epoch !== this.#follower.position?.epoch) this.#follower.sync();
      if (added === undefined) continue;
      this.#changed();
      return { ok: true, added };
    }
    return { ok: true, added: 0 };
  }

  #pending(): PendingChat[] {
    const { username } = this.#follower;
    return this.#outbox.pending.map((outgoing) => {
      const { clientId, message, replyTo, at, state, error, seq } = outgoing;
      return { clientId, username, message, replyTo, at, state, error, seq, outgoing };
    });
  }
}
