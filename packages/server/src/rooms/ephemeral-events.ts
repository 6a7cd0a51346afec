/** The ephemeral events of one room: typing, presence and read marks, which are not stored. */
import type { EphemeralEventName, EphemeralPayload, Presence } from '@engawa/protocol';
import { memberKey } from '../domain/room-keys.ts';
import type { Json } from '../store/contract.ts';
import type { LargeRoomSummary } from './large-room-summary.ts';
import { MAX_RECONCILE_INTERVAL_MS } from './reconcile-interval.ts';

/** How long signals are gathered: longer where there are more to tell them to. */
const COALESCE_MS = 50;
const COALESCE_MS_PER_PEER = 1;
/** Different signals that are told at a time; more are not worth a word. */
const MAX_COALESCED = 50;
/** What other nodes said of a room is believed for so long; they say it again before. */
const COUNT_EXPIRY_MS = MAX_RECONCILE_INTERVAL_MS + 15_000;
/** How long a node waits to say how many are online, to other nodes and to the room, when it has nothing else to say. */
const COUNT_DELAY_MS = 500;
/** Nodes in a room, and members away, that are remembered. */
const MAX_REMEMBERED = 10_000;

/** A signal as nodes announce it to each other. How many are online each of them counts for itself. */
export type EphemeralEvent = { [E in EphemeralEventName]: { event: E; signal: Omit<EphemeralPayload<E>, 'online'> } }[EphemeralEventName];

/** The state of a connected member. */
export type ConnectedPresence = Exclude<Presence, 'offline'>;

/** Somebody is as present as the most present of their connections. */
const PRESENCE_RANK = { offline: 0, away: 1, online: 2 };

/** Whatever a node has to say, it says, too, how many members are online there. */
type NodeMessage = OnlineCount | (OnlineCount & { said: EphemeralEvent });
type OnlineCount = { node: string; online: number };

interface EphemeralEventsOptions {
  node: string;
  /** Where so many members are online, the room is told as a crowd. */
  largeRoomThreshold: number;
  summary: LargeRoomSummary;
  /** Members who are connected to this node. */
  countLocalOnline: () => number;
  /** What the connections of a member to this node say together; nothing when there is none. */
  localPresence: (username: string) => ConnectedPresence | undefined;
  /** Another node believes that the member is less present than they are here. */
  reassertPresence: (username: string, presence: ConnectedPresence) => Promise<void>;
  /** Tells the peers in the room on this node. */
  broadcast: (event: string, signal: object) => unknown;
  /** Tells the peers of one member on this node. */
  emitToMember: (key: string, event: string, signal: object) => unknown;
  /** Reaches the room on every node, this one included. */
  publish: (message: NodeMessage) => Promise<void>;
  onError: (error: unknown) => undefined;
}

/**
 * What happens in a room and is not kept. Nothing waits in a queue: of each member only the latest of a kind is told,
 * and the busier the room, the later.
 */
export class EphemeralEvents {
  readonly #options: EphemeralEventsOptions;
  readonly #pending = new Map<string, { event: EphemeralEventName; signal: object }>();
  readonly #awayMembers = new Set<string>();
  readonly #otherNodes = new Map<string, { online: number; until: number }>();
  /** What the other nodes have been told; undefined when one of them was not. */
  #publishedOnline: number | undefined = 0;
  /** How many were online since the room was last told: who joined meanwhile was told something in between. */
  #onlineRange: { min: number; max: number } | undefined;
  #flushTimer: NodeJS.Timeout | undefined;
  #countTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: EphemeralEventsOptions) {
    this.#options = options;
  }

  /** Members who are connected, here and on other nodes as far as they said so lately. */
  get online(): number {
    let online = this.#options.countLocalOnline();
    for (const [node, count] of this.#otherNodes) {
      if (count.until > performance.now()) online += count.online;
      else this.#otherNodes.delete(node);
    }
    return online;
  }

  /** Too many are online to tell each what each other does. */
  get #isLarge(): boolean {
    return this.online >= this.#options.largeRoomThreshold;
  }

  /** How many are online, for who tells it to the whole room. */
  takeOnlineCount(): number {
    const { online } = this;
    this.#onlineRange = { min: online, max: online };
    return online;
  }

  presenceOf(username: string): ConnectedPresence {
    return this.#awayMembers.has(memberKey(username)) ? 'away' : 'online';
  }

  /** Tells everybody in the room, on every node. */
  async publish(event?: EphemeralEvent): Promise<void> {
    if (event && this.#isLarge && !this.#isPublished(event)) return;
    const { node, countLocalOnline, publish } = this.#options;
    const count = { node, online: countLocalOnline() };
    this.#publishedOnline = count.online;
    await publish(event ? { ...count, said: event } : count);
  }

  /** Other nodes, and those here who cannot know, learn soon how many are online. */
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

  /** Now and then: a node that was not heard of for long is not counted any more. */
  refreshCount(): void {
    const { min, max } = this.#onlineRange ?? { min: 0, max: Infinity };
    if (this.online < min || this.online > max) this.scheduleCount();
  }

  /** Something that a node announced, perhaps this one. */
  receive(json: Json): void {
    if (this.#isClosed) return;
    const message = json as NodeMessage;
    this.#receiveCount(message);
    if (!('said' in message)) return;
    if (this.#isLarge) this.#receiveInLargeRoom(message.said);
    else this.#coalesce(message.said.event, message.said.signal);
    if (message.node !== this.#options.node) this.#correctPresence(message.said).catch(this.#options.onError);
  }

  /** Who said something types no more, also where nobody was told yet that they type. */
  clearTyping(username: string): void {
    this.#pending.delete(coalescingKey('start:typing', username));
    this.#options.summary.stopTyping(username);
  }

  /** The member has left: nothing is kept about them. */
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

  /** Some were told another count than this one, when they joined or since. */
  #broadcastCount(): void {
    const { min, max } = this.#onlineRange ?? { min: 0, max: 0 };
    if (min !== max) this.#options.summary.scheduleMembers();
  }

  /** Another node tells of its connections alone: where those here are more present, that counts. */
  async #correctPresence({ event, signal }: EphemeralEvent): Promise<void> {
    if (event !== 'update:presence') return;
    // All have heard it before they hear otherwise.
    await Promise.resolve();
    const presence = this.#options.localPresence(signal.username);
    if (presence && PRESENCE_RANK[presence] > PRESENCE_RANK[signal.presence])
      await this.#options.reassertPresence(signal.username, presence);
  }

  /** In a crowd nodes tell each other no more than what changes what is told, or what is known of somebody. */
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
    // Who is new here has not heard of us either.
    if (!known && online > 0) this.#publishedOnline = undefined;
    if (online !== (known?.online ?? 0)) this.scheduleCount();
  }

  #setAway(key: string, isAway: boolean): void {
    if (!isAway) this.#awayMembers.delete(key);
    else if (this.#awayMembers.size < MAX_REMEMBERED) this.#awayMembers.add(key);
  }
}

/** Of each member one signal of a kind counts. */
const coalescingKey = (event: EphemeralEventName, username: string): string =>
  `${event === 'stop:typing' ? 'start:typing' : event} ${memberKey(username)}`;
