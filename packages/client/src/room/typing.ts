/** Typing indicators of a room, one's own included. */

const RESEND_INTERVAL_MS = 3_000;
const IDLE_TIMEOUT_MS = 5_000;
const EXPIRY_MS = 6_000;

interface TypingOptions {
  send: (event: 'start:typing' | 'stop:typing') => void;
  /** The set of typing members has changed. */
  onChange: (usernames: readonly string[]) => void;
}

type Timer = ReturnType<typeof setTimeout>;

/** Who is typing. The own state is sent again while it lasts; the others' states expire. */
export class Typing {
  readonly #options: TypingOptions;
  readonly #others = new Map<string, Timer>();
  /** Set while more members are typing than are named, in a large room. */
  #moreTimer: Timer | undefined;
  /** All names, until they change. */
  #cachedNames: readonly string[] | undefined;
  #lastSentAt = Number.NEGATIVE_INFINITY;
  #idleTimer: Timer | undefined;

  constructor(options: TypingOptions) {
    this.#options = options;
  }

  get others(): readonly string[] {
    this.#cachedNames ??= [...this.#others.keys()];
    return this.#cachedNames;
  }

  get hasMore(): boolean {
    return this.#moreTimer !== undefined;
  }

  start(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.stop(), IDLE_TIMEOUT_MS);
    if (performance.now() - this.#lastSentAt < RESEND_INTERVAL_MS) return;
    this.#lastSentAt = performance.now();
    this.#options.send('start:typing');
  }

  stop(): void {
    if (this.#idleTimer === undefined) return;
    this.reset();
    this.#options.send('stop:typing');
  }

  /** A chat ends its author's typing without an event of its own. */
  reset(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    this.#lastSentAt = Number.NEGATIVE_INFINITY;
  }

  onStart(username: string): void {
    const isNew = !this.#others.has(username);
    clearTimeout(this.#others.get(username));
    this.#add(username);
    if (isNew) this.#notify();
  }

  /** All typing members of a large room, with a sample of their names. */
  onSummary(usernames: string[], hasMore: boolean): void {
    const before = String([this.hasMore, ...this.others]);
    this.#clear();
    for (const username of usernames) this.#add(username);
    if (hasMore) this.#moreTimer = setTimeout(() => this.onSummary([], false), EXPIRY_MS);
    if (String([this.hasMore, ...this.others]) !== before) this.#notify();
  }

  remove(username: string): void {
    clearTimeout(this.#others.get(username));
    if (this.#others.delete(username)) this.#notify();
  }

  close(): void {
    clearTimeout(this.#idleTimer);
    this.#clear();
  }

  #notify(): void {
    this.#cachedNames = undefined;
    this.#options.onChange(this.others);
  }

  #add(username: string): void {
    this.#others.set(
      username,
      setTimeout(() => this.remove(username), EXPIRY_MS),
    );
  }

  #clear(): void {
    for (const timer of [this.#moreTimer, ...this.#others.values()]) clearTimeout(timer);
    this.#moreTimer = undefined;
    this.#cachedNames = undefined;
    this.#others.clear();
  }
}
