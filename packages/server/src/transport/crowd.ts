import type { Notice } from '@engawa/protocol';
import { Paced } from './paced.ts';

/** Others who act in the same moment are told with the first. */
const SOON_MS = 100;
/** How often a room is told what became of its members, and who types: the more are to be told, the less often. */
const MEMBERS_MS = 1_000;
const TYPING_MS = 3_000;
/** So one node tells a room at most 10,000 times a second of its members, and 3,334 of who types, all who are told taken together. */
const MEMBERS_MS_PER_PEER = 0.1;
const TYPING_MS_PER_PEER = 0.3;
/** Names that are told with a count. */
const NAMED = 3;
/** Who types says so again about every three seconds, and is forgotten after six. */
const SAID_AGAIN_MS = 2_500;
const FORGOTTEN_MS = 6_000;
/** Who types, as far as nodes told each other: enough to know that there are several. */
const TYPISTS = 50;

type Told = 'update:members' | 'update:typing';
type Members = Pick<Notice<'update:members'>, 'epoch' | 'asOf' | 'members' | 'online'>;

interface Surroundings {
  roomId: string;
  /** How many are to be told on this node. */
  peers: () => number;
  /** What there is to tell of the members; undefined without a room. */
  count: () => Promise<Members | undefined>;
  tell: <N extends Told>(event: N, notice: Notice<N>) => unknown;
  onError: (error: unknown) => undefined;
}

/**
 * A large room, as it is told of itself: counts, now and then, and a few names, whatever happens there. To tell each of n
 * members what each of n members does would be n² messages.
 */
export class Crowd {
  readonly #surroundings: Surroundings;
  readonly #members: Paced;
  readonly #typing: Paced;
  #joined: string[] = [];
  #left: string[] = [];
  /** When each was last heard to type. */
  readonly #typists = new Map<string, number>();

  constructor(surroundings: Surroundings) {
    const { peers } = surroundings;
    this.#surroundings = surroundings;
    this.#members = new Paced({
      soon: SOON_MS,
      every: () => Math.max(MEMBERS_MS, MEMBERS_MS_PER_PEER * peers()),
      act: () => this.#tellMembers(),
    });
    this.#typing = new Paced({
      soon: SOON_MS,
      every: () => Math.max(TYPING_MS, TYPING_MS_PER_PEER * peers()),
      act: async () => this.#tellTyping(),
    });
  }

  joined(username: string): void {
    this.#joined = [...this.#joined, username].slice(-NAMED);
    this.#members.want();
  }

  left(username: string): void {
    this.#left = [...this.#left, username].slice(-NAMED);
    this.stopped(username);
    this.#members.want();
  }

  /** Others than before are online. */
  changed(): void {
    this.#members.want();
  }

  /** Whether anybody would learn something from hearing that he types: not where several do, as was just said. */
  isNews(username: string): boolean {
    const since = performance.now() - SAID_AGAIN_MS;
    const heard = [...this.#typists].filter(([, at]) => at > since);
    return heard.length <= NAMED && !heard.some(([name]) => name === username);
  }

  typing(username: string): void {
    if (this.#typists.size >= TYPISTS && !this.#typists.has(username)) return;
    this.#typists.set(username, performance.now());
    this.#typing.want();
  }

  stopped(username: string): void {
    if (this.#typists.delete(username)) this.#typing.want();
  }

  isTyping(username: string): boolean {
    return this.#typists.has(username);
  }

  close(): void {
    this.#members.close();
    this.#typing.close();
  }

  async #tellMembers(): Promise<void> {
    const { roomId, count, tell, onError } = this.#surroundings;
    const [joined, left] = [this.#joined, this.#left];
    [this.#joined, this.#left] = [[], []];
    try {
      const counted = await count();
      if (counted) tell('update:members', { roomId, ...counted, joined, left });
    } catch (error) {
      onError(error);
      this.#members.want();
    }
  }

  #tellTyping(): void {
    const { roomId, tell } = this.#surroundings;
    const until = performance.now() - FORGOTTEN_MS;
    for (const [username, at] of this.#typists) if (at <= until) this.#typists.delete(username);
    const usernames = [...this.#typists.keys()];
    tell('update:typing', { roomId, usernames: usernames.slice(0, NAMED), several: usernames.length > NAMED });
  }
}
