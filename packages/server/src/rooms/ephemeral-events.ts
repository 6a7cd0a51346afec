/** The ephemeral events of one room: typing, presence and read marks, which are not stored. */
import type { EphemeralEventName, EphemeralPayload, Presence } from '@engawa/protocol';
import { memberKey } from '../domain/room-keys.ts';
import type { Json } from '../store/contract.ts';
import type { LargeRoomSummary } from './large-room-summary.ts';
import { MAX_RECONCILE_INTERVAL_MS } from './reconcile-interval.ts';

/** Events are coalesced for this long, plus a time for each peer that receives them. */
const COALESCE_MS = 50;
const COALESCE_MS_PER_PEER = 1;
/** Different events that are broadcast at a time; further ones are dropped. */
const MAX_COALESCED = 50;
/** Counts of other nodes expire after this time; nodes repeat them earlier. */
const COUNT_EXPIRY_MS = MAX_RECONCILE_INTERVAL_MS + 15_000;
/** Delay before a node publishes its count without another event. */
const COUNT_DELAY_MS = 500;
/** Maximum of other nodes, and of away members, that are remembered. */
const MAX_REMEMBERED = 10_000;

/** An ephemeral event as nodes publish it to each other. Each node adds the number of online members itself. */
export type EphemeralEvent = { [E in EphemeralEventName]: { event: E; signal: Omit<EphemeralPayload<E>, 'online'> } }[EphemeralEventName];

/** The state of a connected member. */
export type ConnectedPresence = Exclude<Presence, 'offline'>;

/** The presence of a member is the highest presence of their connections. */
const PRESENCE_RANK = { offline: 0, away: 1, online: 2 };

/** Every message between nodes also carries that node's online count. */
type NodeMessage = OnlineCount | (OnlineCount & { said: EphemeralEvent });
type OnlineCount = { node: string; online: number };

interface EphemeralEventsOptions {
  node: string;
  /** With at least this many online members, the room gets aggregated updates. */
  largeRoomThreshold: number;
  summary: LargeRoomSummary;
  /** Number of members that are connected to this node. */
  countLocalOnline: () => number;
  /** The presence of a member by the connections to this node; undefined without any. */
  localPresence: (username: string) => ConnectedPresence | undefined;
  /** Publishes the presence again, because another node published a lower one. */
  reassertPresence: (username: string, presence: ConnectedPresence) => Promise<void>;
  /** Sends an event to all peers of the room on this node. */
  broadcast: (event: string, signal: object) => unknown;
  /** Sends an event to the peers of one member on this node. */
  emitToMember: (key: string, event: string, signal: object) => unknown;
  /** Sends a message to the room on all nodes, including this one. */
  publish: (message: NodeMessage) => Promise<void>;
  onError: (error: unknown) => undefined;
}

/**
 * Coalesces and broadcasts the ephemeral events of a room. There is no queue: only the latest event of each kind is sent for
 * each member, and the more peers a room has, the longer events are coalesced.
 */
export class EphemeralEvents {
  readonly #options: EphemeralEventsOptions;
  readonly #pending = new Map<string, { event: EphemeralEventName; signal: object }>();
  readonly #awayMembers = new Set<string>();
  readonly #otherNodes = new Map<string, { online: number; until: number }>();
  /** The count that the other nodes have; undefined if one of them does not have it. */
  #publishedOnline: number | undefined = 0;
  /** The range of the online count since the last broadcast: members who joined in between received a count in this range. */
  #onlineRange: { min: number; max: number } | undefined;
  #flushTimer: NodeJS.Timeout | undefined;
  #countTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: EphemeralEventsOptions) {
    this.#options = options;
  }

  /** Number of connected members: on this node, and on other nodes by their latest counts. */
  get online(): number {
    let online = this.#options.countLocalOnline();
    for (const [node, count] of this.#otherNodes) {
      if (count.until > performance.now()) online += count.online;
      else this.#otherNodes.delete(node);
    }
    return online;
  }

  /** Whether so many members are online that updates are aggregated. */
  get #isLarge(): boolean {
    return this.online >= this.#options.largeRoomThreshold;
  }

  /** The online count for a broadcast to the whole room. */
  takeOnlineCount(): number {
    const { online } = this;
    this.#onlineRange = { min: online, max: online };
    return online;
  }

  presenceOf(username: string): ConnectedPresence {
    return this.#awayMembers.has(memberKey(username)) ? 'away' : 'online';
  }

  /** Publishes to the room on all nodes. */
  async publish(event?: EphemeralEvent): Promise<void> {
    if (event && this.#isLarge && !this.#isPublished(event)) return;
    const { node, countLocalOnline, publish } = this.#options;
    const count = { node, online: countLocalOnline() };
    this.#publishedOnline = count.online;
    await publish(event ? { ...count, said: event } : count);
  }

  /** Schedules publication of the count to other nodes, and a broadcast to peers that may not know it. */
  scheduleCount(): void {
    if (this.#isClosed) return;
    const { online } = this;
    const { min, max } = this.#onlineRange ?? { min: online, max: online };
    this.#onlineRange = { min: Math.min(min, online), max: Math.max(max, online) };
    if (this.#isLarge) this.#options.summary.scheduleMembers();
    this.#countTimer ??= setTimeout(() => {
      this.#countTimer = undefined;
      this.#publishCount();
      this.#broadcastCount();
    }, COUNT_DELAY_MS);
  }

  /** Called from time to time: counts of other nodes may have expired. */
  refreshCount(): void {
    const { min, max } = this.#onlineRange ?? { min: 0, max: Infinity };
    if (this.online < min || this.online > max) this.scheduleCount();
  }

  /** Handles a message of any node, including this one. */
  receive(json: Json): void {
    if (this.#isClosed) return;
    const message = json as NodeMessage;
    this.#receiveCount(message);
    if (!('said' in message)) return;
    if (this.#isLarge) this.#receiveInLargeRoom(message.said);
    else this.#coalesce(message.said.event, message.said.signal);
    if (message.node !== this.#options.node) this.#correctPresence(message.said).catch(this.#options.onError);
  }

  /** Sending a chat ends typing, also if the start was not broadcast yet. */
  clearTyping(username: string): void {
    this.#pending.delete(coalescingKey('start:typing', username));
    this.#options.summary.stopTyping(username);
  }

  /** Drops the state of a member who has left. */
  forgetMember(key: string): void {
    this.#awayMembers.delete(key);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#flushTimer);
    clearTimeout(this.#countTimer);
    this.#publishCount();
  }

  #publishCount(): void {
    if (this.#options.countLocalOnline() !== this.#publishedOnline) this.publish().catch(this.#options.onError);
  }

  /** Broadcasts the count if some peers may have received a different one. */
  #broadcastCount(): void {
    const { min, max } = this.#onlineRange ?? { min: 0, max: 0 };
    if (min !== max) this.#options.summary.scheduleMembers();
  }

  /**
   * The message of another node counts only its own connections: if the connections here have a higher presence, that one is
   * valid.
   */
  async #correctPresence({ event, signal }: EphemeralEvent): Promise<void> {
    if (event !== 'update:presence') return;
    // Lets all nodes handle the message before its correction.
    await Promise.resolve();
    const presence = this.#options.localPresence(signal.username);
    if (presence && PRESENCE_RANK[presence] > PRESENCE_RANK[signal.presence])
      await this.#options.reassertPresence(signal.username, presence);
  }

  /** In a large room nodes publish only what changes a summary or the presence of a member. */
  #isPublished({ event: kind, signal }: EphemeralEvent): boolean {
    const { summary, emitToMember } = this.#options;
    const key = memberKey(signal.username);
    switch (kind) {
      case 'start:typing':
        return summary.isNewTyping(signal.username);
      case 'stop:typing':
        return summary.isTyping(signal.username);
      case 'mark:read':
        emitToMember(key, `${kind}:success`, signal);
        return false;
      case 'update:presence':
        this.scheduleCount();
        return (signal.presence === 'away') !== this.#awayMembers.has(key);
    }
  }

  #receiveInLargeRoom({ event, signal }: EphemeralEvent): void {
    const { summary } = this.#options;
    if (event === 'start:typing') summary.startTyping(signal.username);
    if (event === 'stop:typing') summary.stopTyping(signal.username);
    if (event === 'update:presence') this.#setAway(memberKey(signal.username), signal.presence === 'away');
  }

  #coalesce(event: EphemeralEventName, signal: { username: string; presence?: Presence }): void {
    if (signal.presence) this.#setAway(memberKey(signal.username), signal.presence === 'away');
    const name = coalescingKey(event, signal.username);
    if (this.#pending.size >= MAX_COALESCED && !this.#pending.has(name)) return;
    this.#pending.set(name, { event, signal });
    this.#flushTimer ??= setTimeout(() => this.#flush(), COALESCE_MS + COALESCE_MS_PER_PEER * this.#options.countLocalOnline());
  }

  #flush(): void {
    this.#flushTimer = undefined;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { event, signal } of pending) {
      this.#options.broadcast(`${event}:success`, event === 'update:presence' ? { ...signal, online: this.takeOnlineCount() } : signal);
    }
  }

  #receiveCount({ node, online }: OnlineCount): void {
    if (node === this.#options.node) return;
    const known = this.#otherNodes.get(node);
    if (online === 0) this.#otherNodes.delete(node);
    else if (known || this.#otherNodes.size < MAX_REMEMBERED)
      this.#otherNodes.set(node, { online, until: performance.now() + COUNT_EXPIRY_MS });
    // A node that is new in the room does not have our count yet.
    if (!known && online > 0) this.#publishedOnline = undefined;
    if (online !== (known?.online ?? 0)) this.scheduleCount();
  }

  #setAway(key: string, isAway: boolean): void {
    if (!isAway) this.#awayMembers.delete(key);
    else if (this.#awayMembers.size < MAX_REMEMBERED) this.#awayMembers.add(key);
  }
}

/** Only the latest event of each kind counts for a member. */
const coalescingKey = (event: EphemeralEventName, username: string): string =>
  `${event === 'stop:typing' ? 'start:typing' : event} ${memberKey(username)}`;
