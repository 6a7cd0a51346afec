import type { Presence, Signalled, SignalName } from '@engawa/protocol';
import { memberKey } from '../chat/keys.ts';
import type { Json } from '../store/store.ts';
import type { Crowd } from './crowd.ts';
import { MOST_SILENCE_MS } from './pace.ts';

/** How long signals are gathered: longer where there are more to tell them to. */
const GATHERED_MS = 50;
const GATHERED_MS_PER_PEER = 1;
/** Different signals that are told at a time; more are not worth a word. */
const GATHERED = 50;
/** What other nodes said of a room is believed for so long; they say it again before. */
const NEWS_MS = MOST_SILENCE_MS + 15_000;
/** How long a node waits to say how many are online, to other nodes and to the room, when it has nothing else to say. */
const COUNT_MS = 500;
/** Nodes in a room, and members away, that are remembered. */
const REMEMBERED = 10_000;

/** A signal as nodes announce it to each other. How many are online each of them counts for itself. */
export type Signal = { [E in SignalName]: { event: E; signal: Omit<Signalled<E>, 'online'> } }[SignalName];

/** Of somebody who is connected. */
export type Connected = Exclude<Presence, 'gone'>;

/** Somebody is as present as the most present of their connections. */
const RANK = { gone: 0, away: 1, online: 2 };

/** Whatever a node has to say, it says, too, how many members are online there. */
type Announced = Count | (Count & { said: Signal });
type Count = { node: string; online: number };

interface Surroundings {
  node: string;
  /** Where so many members are online, the room is told as a crowd. */
  largeRoom: number;
  crowd: Crowd;
  /** Members who are connected to this node. */
  onlineHere: () => number;
  /** What the connections of a member to this node say together; nothing when there is none. */
  presenceHere: (username: string) => Connected | undefined;
  /** Another node believes that the member is less present than they are here. */
  insist: (username: string, presence: Connected) => Promise<void>;
  /** Tells the peers in the room on this node. */
  tell: (event: string, signal: object) => unknown;
  /** Tells the peers of one member on this node. */
  tellMember: (key: string, event: string, signal: object) => unknown;
  /** Reaches the room on every node, this one included. */
  announce: (announced: Announced) => Promise<void>;
  onError: (error: unknown) => undefined;
}

/**
 * What happens in a room and is not kept. Nothing waits in a queue: of each member only the latest of a kind is told,
 * and the busier the room, the later.
 */
export class Signals {
  readonly #surroundings: Surroundings;
  readonly #latest = new Map<string, { event: SignalName; signal: object }>();
  readonly #away = new Set<string>();
  readonly #elsewhere = new Map<string, { online: number; until: number }>();
  /** What the other nodes have been told; undefined when one of them was not. */
  #announcedOnline: number | undefined = 0;
  /** How many were online since the room was last told: who joined meanwhile was told something in between. */
  #sinceTold: { least: number; most: number } | undefined;
  #gathering: NodeJS.Timeout | undefined;
  #counting: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Members who are connected, here and on other nodes as far as they said so lately. */
  get online(): number {
    let online = this.#surroundings.onlineHere();
    for (const [node, news] of this.#elsewhere) {
      if (news.until > performance.now()) online += news.online;
      else this.#elsewhere.delete(node);
    }
    return online;
  }

  /** Too many are online to tell each what each other does. */
  get #isCrowded(): boolean {
    return this.online >= this.#surroundings.largeRoom;
  }

  /** How many are online, for who tells it to the whole room. */
  tellOnline(): number {
    const { online } = this;
    this.#sinceTold = { least: online, most: online };
    return online;
  }

  presenceOf(username: string): Connected {
    return this.#away.has(memberKey(username)) ? 'away' : 'online';
  }

  /** Tells everybody in the room, on every node. */
  async announce(said?: Signal): Promise<void> {
    if (said && this.#isCrowded && !this.#isForAll(said)) return;
    const { node, onlineHere, announce } = this.#surroundings;
    const count = { node, online: onlineHere() };
    this.#announcedOnline = count.online;
    await announce(said ? { ...count, said } : count);
  }

  /** Other nodes, and those here who cannot know, learn soon how many are online. */
  countSoon(): void {
    if (this.#isClosed) return;
    const { online } = this;
    const { least, most } = this.#sinceTold ?? { least: online, most: online };
    this.#sinceTold = { least: Math.min(least, online), most: Math.max(most, online) };
    if (this.#isCrowded) this.#surroundings.crowd.changed();
    this.#counting ??= setTimeout(() => {
      this.#counting = undefined;
      this.#announceCount();
      this.#tellCount();
    }, COUNT_MS);
  }

  /** Now and then: a node that was not heard of for long is not counted any more. */
  recount(): void {
    const { least, most } = this.#sinceTold ?? { least: 0, most: Infinity };
    if (this.online < least || this.online > most) this.countSoon();
  }

  /** Something that a node announced, perhaps this one. */
  hear(announced: Json): void {
    if (this.#isClosed) return;
    const heard = announced as Announced;
    this.#hearCount(heard);
    if (!('said' in heard)) return;
    if (this.#isCrowded) this.#hearInCrowd(heard.said);
    else this.#gather(heard.said.event, heard.said.signal);
    if (heard.node !== this.#surroundings.node) this.#contradict(heard.said).catch(this.#surroundings.onError);
  }

  /** Who said something types no more, also where nobody was told yet that they type. */
  said(username: string): void {
    this.#latest.delete(latestName('start:typing', username));
    this.#surroundings.crowd.stopped(username);
  }

  /** The member is gone for good: nothing is remembered of him. */
  forget(key: string): void {
    this.#away.delete(key);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#gathering);
    clearTimeout(this.#counting);
    this.#announceCount();
  }

  #announceCount(): void {
    if (this.#surroundings.onlineHere() !== this.#announcedOnline) this.announce().catch(this.#surroundings.onError);
  }

  /** Some were told another count than this one, when they joined or since. */
  #tellCount(): void {
    const { least, most } = this.#sinceTold ?? { least: 0, most: 0 };
    if (least !== most) this.#surroundings.crowd.changed();
  }

  /** Another node tells of its connections alone: where those here are more present, that counts. */
  async #contradict({ event, signal }: Signal): Promise<void> {
    if (event !== 'update:presence') return;
    // All have heard it before they hear otherwise.
    await Promise.resolve();
    const presence = this.#surroundings.presenceHere(signal.username);
    if (presence && RANK[presence] > RANK[signal.presence]) await this.#surroundings.insist(signal.username, presence);
  }

  /** In a crowd nodes tell each other no more than what changes what is told, or what is known of somebody. */
  #isForAll({ event, signal }: Signal): boolean {
    const { crowd, tellMember } = this.#surroundings;
    const key = memberKey(signal.username);
    switch (event) {
      case 'start:typing':
        return crowd.isNews(signal.username);
      case 'stop:typing':
        return crowd.isTyping(signal.username);
      case 'mark:read':
        tellMember(key, `${event}:success`, signal);
        return false;
      case 'update:presence':
        this.countSoon();
        return (signal.presence === 'away') !== this.#away.has(key);
    }
  }

  #hearInCrowd({ event, signal }: Signal): void {
    const { crowd } = this.#surroundings;
    if (event === 'start:typing') crowd.typing(signal.username);
    if (event === 'stop:typing') crowd.stopped(signal.username);
    if (event === 'update:presence') this.#rememberAway(memberKey(signal.username), signal.presence === 'away');
  }

  #gather(event: SignalName, signal: { username: string; presence?: Presence }): void {
    if (signal.presence) this.#rememberAway(memberKey(signal.username), signal.presence === 'away');
    const name = latestName(event, signal.username);
    if (this.#latest.size >= GATHERED && !this.#latest.has(name)) return;
    this.#latest.set(name, { event, signal });
    this.#gathering ??= setTimeout(() => this.#tell(), GATHERED_MS + GATHERED_MS_PER_PEER * this.#surroundings.onlineHere());
  }

  #tell(): void {
    this.#gathering = undefined;
    const gathered = [...this.#latest.values()];
    this.#latest.clear();
    for (const { event, signal } of gathered) {
      this.#surroundings.tell(`${event}:success`, event === 'update:presence' ? { ...signal, online: this.tellOnline() } : signal);
    }
  }

  #hearCount({ node, online }: Count): void {
    if (node === this.#surroundings.node) return;
    const known = this.#elsewhere.get(node);
    if (online === 0) this.#elsewhere.delete(node);
    else if (known || this.#elsewhere.size < REMEMBERED) this.#elsewhere.set(node, { online, until: performance.now() + NEWS_MS });
    // Who is new here has not heard of us either.
    if (!known && online > 0) this.#announcedOnline = undefined;
    if (online !== (known?.online ?? 0)) this.countSoon();
  }

  #rememberAway(key: string, isAway: boolean): void {
    if (!isAway) this.#away.delete(key);
    else if (this.#away.size < REMEMBERED) this.#away.add(key);
  }
}

/** Of each member one signal of a kind counts. */
const latestName = (event: SignalName, username: string): string =>
  `${event === 'stop:typing' ? 'start:typing' : event} ${memberKey(username)}`;
