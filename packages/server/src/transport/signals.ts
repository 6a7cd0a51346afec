import type { Presence, Signalled, SignalName } from '@engawa/protocol';
import { memberKey } from '../chat/keys.ts';
import type { Json } from '../store/store.ts';

/** How long signals are gathered: longer where there are more to tell them to. */
const GATHERED_MS = 50;
const GATHERED_MS_PER_PEER = 1;
/** Different signals that are told at a time; more are not worth a word. */
const GATHERED = 50;
/** What other nodes said of a room is believed for so long. */
const NEWS_MS = 30_000;
/** Nodes in a room, and members away, that are remembered. */
const REMEMBERED = 10_000;

/** A signal as nodes announce it to each other. How many are online each of them counts for itself. */
export type Announced =
  | { [E in SignalName]: { event: E; signal: Omit<Signalled<E>, 'online'> } }[SignalName]
  | { node: string; online: number };

interface Surroundings {
  node: string;
  /** Members who are connected to this node. */
  onlineHere: () => number;
  tell: (event: string, signal: object) => unknown;
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
  #timer: NodeJS.Timeout | undefined;

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

  presenceOf(username: string): Exclude<Presence, 'gone'> {
    return this.#away.has(memberKey(username)) ? 'away' : 'online';
  }

  /** Something that a node announced, perhaps this one. */
  hear(announced: Json): void {
    const heard = announced as Announced;
    if ('node' in heard) this.#hearOfNode(heard);
    else this.#gather(heard.event, heard.signal);
  }

  /** The member is gone for good: nothing is remembered of him. */
  forget(key: string): void {
    this.#away.delete(key);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #gather(event: SignalName, signal: { username: string; presence?: Presence }): void {
    const about = memberKey(signal.username);
    if (signal.presence) this.#rememberAway(about, signal.presence === 'away');
    const kind = event === 'stop:typing' ? 'start:typing' : event;
    if (this.#latest.size >= GATHERED && !this.#latest.has(`${kind} ${about}`)) return;
    this.#latest.set(`${kind} ${about}`, { event, signal });
    this.#timer ??= setTimeout(() => this.#tell(), GATHERED_MS + GATHERED_MS_PER_PEER * this.#surroundings.onlineHere());
  }

  #tell(): void {
    this.#timer = undefined;
    const gathered = [...this.#latest.values()];
    this.#latest.clear();
    for (const { event, signal } of gathered) {
      this.#surroundings.tell(`${event}:success`, event === 'update:presence' ? { ...signal, online: this.online } : signal);
    }
  }

  #hearOfNode({ node, online }: { node: string; online: number }): void {
    if (node === this.#surroundings.node || (this.#elsewhere.size >= REMEMBERED && !this.#elsewhere.has(node))) return;
    this.#elsewhere.set(node, { online, until: performance.now() + NEWS_MS });
  }

  #rememberAway(key: string, isAway: boolean): void {
    if (!isAway) this.#away.delete(key);
    else if (this.#away.size < REMEMBERED) this.#away.add(key);
  }
}
