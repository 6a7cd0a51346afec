/** The summary of a large room: aggregated member, presence and typing notices instead of single ones. */
import type { ServerNotice } from '@engawa/protocol';
import { ThrottledTask } from './throttled-task.ts';

/** Delay that gathers concurrent changes into one notice. */
const COALESCE_MS = 100;
/** Shortest intervals between two notices; longer if there are many peers. */
const MEMBERS_INTERVAL_MS = 1_000;
const TYPING_INTERVAL_MS = 3_000;
/** Limits one node to 10,000 deliveries a second of `members:changed`, and 3,334 of `typing:changed`, for each room. */
const MEMBERS_INTERVAL_MS_PER_PEER = 0.1;
const TYPING_INTERVAL_MS_PER_PEER = 0.3;
/** Names in a notice. */
const MAX_SAMPLE_NAMES = 3;
/** Clients repeat `start:typing` about every three seconds; it expires after six. */
const TYPING_REFRESH_MS = 2_500;
const TYPING_EXPIRY_MS = 6_000;
/** Typing members that are remembered: enough to know that there are several. */
const MAX_TYPING_USERS = 50;

type SummaryNotice = 'members:changed' | 'typing:changed';
type MemberCounts = Pick<ServerNotice<'members:changed'>, 'epoch' | 'asOf' | 'members' | 'online'>;

interface LargeRoomSummaryOptions {
  roomId: string;
  /** Number of peers of the room on this node. */
  countPeers: () => number;
  /** Reads the counts for a notice; undefined if the room does not exist. */
  readMemberCounts: () => Promise<MemberCounts | undefined>;
  broadcast: <N extends SummaryNotice>(event: N, notice: ServerNotice<N>) => unknown;
  onError: (error: unknown) => undefined;
}

/**
 * Broadcasts counts and a few names at limited intervals, however many changes there are. To send each change of n members to n
 * members would take n² messages.
 */
export class LargeRoomSummary {
  readonly #options: LargeRoomSummaryOptions;
  readonly #membersTask: ThrottledTask;
  readonly #typingTask: ThrottledTask;
  #joinedNames: string[] = [];
  #leftNames: string[] = [];
  /** Time of the last `start:typing` of each member. */
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

  /** Schedules a `members:changed` notice, because the online count changed. */
  scheduleMembers(): void {
    this.#membersTask.request();
  }

  /** Whether a typing event changes the notice: not if this member, or more members than a notice names, typed just now. */
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
