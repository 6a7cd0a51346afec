/** The summary of a large room: aggregated member, presence and typing notices instead of single ones. */
import type { ServerNotice } from '@engawa/protocol';
import { ThrottledTask } from './throttled-task.ts';

/** Others who act in the same moment are told with the first. */
const COALESCE_MS = 100;
/** How often a room is told what became of its members, and who types: the more are to be told, the less often. */
const MEMBERS_INTERVAL_MS = 1_000;
const TYPING_INTERVAL_MS = 3_000;
/** So one node tells a room at most 10,000 times a second of its members, and 3,334 of who types, all who are told taken together. */
const MEMBERS_INTERVAL_MS_PER_PEER = 0.1;
const TYPING_INTERVAL_MS_PER_PEER = 0.3;
/** Names that are told with a count. */
const MAX_SAMPLE_NAMES = 3;
/** Who types says so again about every three seconds, and is forgotten after six. */
const TYPING_REFRESH_MS = 2_500;
const TYPING_EXPIRY_MS = 6_000;
/** Who types, as far as nodes told each other: enough to know that there are several. */
const MAX_TYPING_USERS = 50;

type SummaryNotice = 'members:changed' | 'typing:changed';
type MemberCounts = Pick<ServerNotice<'members:changed'>, 'epoch' | 'asOf' | 'members' | 'online'>;

interface LargeRoomSummaryOptions {
  roomId: string;
  /** How many are to be told on this node. */
  countPeers: () => number;
  /** What there is to tell of the members; undefined without a room. */
  readMemberCounts: () => Promise<MemberCounts | undefined>;
  broadcast: <N extends SummaryNotice>(event: N, notice: ServerNotice<N>) => unknown;
  onError: (error: unknown) => undefined;
}

/**
 * A large room, as it is told of itself: counts, now and then, and a few names, whatever happens there. To tell each of n
 * members what each of n members does would be n² messages.
 */
export class LargeRoomSummary {
  readonly #options: LargeRoomSummaryOptions;
  readonly #membersTask: ThrottledTask;
  readonly #typingTask: ThrottledTask;
  #joinedNames: string[] = [];
  #leftNames: string[] = [];
  /** When each was last heard to type. */
  readonly #lastTypedAt = new Map<string, number>();

  constructor(options: LargeRoomSummaryOptions) {
    const { countPeers } = options;
    this.#options = options;
    this.#membersTask = new ThrottledTask({
      delayMs: COALESCE_MS,
      minIntervalMs: () => Math.max(MEMBERS_INTERVAL_MS, MEMBERS_INTERVAL_MS_PER_PEER * countPeers()),
      run: () => this.#broadcastMembers(),
    });
    this.#typingTask = new ThrottledTask({
      delayMs: COALESCE_MS,
      minIntervalMs: () => Math.max(TYPING_INTERVAL_MS, TYPING_INTERVAL_MS_PER_PEER * countPeers()),
      run: async () => this.#broadcastTyping(),
    });
  }

  addJoined(username: string): void {
    this.#joinedNames = [...this.#joinedNames, username].slice(-MAX_SAMPLE_NAMES);
    this.#membersTask.request();
  }

  addLeft(username: string): void {
    this.#leftNames = [...this.#leftNames, username].slice(-MAX_SAMPLE_NAMES);
    this.stopTyping(username);
    this.#membersTask.request();
  }

  /** Others than before are online. */
  scheduleMembers(): void {
    this.#membersTask.request();
  }

  /** Whether a typing event is news: not if this member, or more members than are named, typed just now. */
  isNewTyping(username: string): boolean {
    const since = performance.now() - TYPING_REFRESH_MS;
    const active = [...this.#lastTypedAt].filter(([, at]) => at > since);
    return active.length <= MAX_SAMPLE_NAMES && !active.some(([name]) => name === username);
  }

  startTyping(username: string): void {
    if (this.#lastTypedAt.size >= MAX_TYPING_USERS && !this.#lastTypedAt.has(username)) return;
    this.#lastTypedAt.set(username, performance.now());
    this.#typingTask.request();
  }

  stopTyping(username: string): void {
    if (this.#lastTypedAt.delete(username)) this.#typingTask.request();
  }

  isTyping(username: string): boolean {
    return this.#lastTypedAt.has(username);
  }

  close(): void {
    this.#membersTask.close();
    this.#typingTask.close();
  }

  async #broadcastMembers(): Promise<void> {
    const { roomId, readMemberCounts, broadcast, onError } = this.#options;
    const [joined, left] = [this.#joinedNames, this.#leftNames];
    [this.#joinedNames, this.#leftNames] = [[], []];
    try {
      const counts = await readMemberCounts();
      if (counts) broadcast('members:changed', { roomId, ...counts, joined, left });
    } catch (error) {
      onError(error);
      this.#membersTask.request();
    }
  }

  #broadcastTyping(): void {
    const { roomId, broadcast } = this.#options;
    const until = performance.now() - TYPING_EXPIRY_MS;
    for (const [username, at] of this.#lastTypedAt) if (at <= until) this.#lastTypedAt.delete(username);
    const usernames = [...this.#lastTypedAt.keys()];
    broadcast('typing:changed', { roomId, usernames: usernames.slice(0, MAX_SAMPLE_NAMES), hasMore: usernames.length > MAX_SAMPLE_NAMES });
  }
}
