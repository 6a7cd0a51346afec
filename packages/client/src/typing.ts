const AGAIN_MS = 3_000;
const STOP_MS = 5_000;
const FORGET_MS = 6_000;

interface Surroundings {
  say: (event: 'start:typing' | 'stop:typing') => void;
  /** Somebody began or stopped. */
  changed: (usernames: readonly string[]) => void;
}

type Timer = ReturnType<typeof setTimeout>;

/** Who is typing, oneself included: said again while it lasts, and forgotten when it is not. */
export class Typing {
  readonly #surroundings: Surroundings;
  readonly #others = new Map<string, Timer>();
  /** More than are named, as a large room says. */
  #several: Timer | undefined;
  /** The names of all, until somebody begins or stops. */
  #names: readonly string[] | undefined;
  #saidAt = Number.NEGATIVE_INFINITY;
  #stopping: Timer | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  get others(): readonly string[] {
    this.#names ??= [...this.#others.keys()];
    return this.#names;
  }

  get several(): boolean {
    return this.#several !== undefined;
  }

  start(): void {
    clearTimeout(this.#stopping);
    this.#stopping = setTimeout(() => this.stop(), STOP_MS);
    if (performance.now() - this.#saidAt < AGAIN_MS) return;
    this.#saidAt = performance.now();
    this.#surroundings.say('start:typing');
  }

  stop(): void {
    if (this.#stopping === undefined) return;
    this.sent();
    this.#surroundings.say('stop:typing');
  }

  /** A chat says by itself that he who sent it types no more. */
  sent(): void {
    clearTimeout(this.#stopping);
    this.#stopping = undefined;
    this.#saidAt = Number.NEGATIVE_INFINITY;
  }

  heard(username: string): void {
    const isNew = !this.#others.has(username);
    clearTimeout(this.#others.get(username));
    this.#remember(username);
    if (isNew) this.#changed();
  }

  /** A large room says at once of everybody who types, by some names. */
  told(usernames: string[], several: boolean): void {
    const before = String([this.several, ...this.others]);
    this.#clear();
    for (const username of usernames) this.#remember(username);
    if (several) this.#several = setTimeout(() => this.told([], false), FORGET_MS);
    if (String([this.several, ...this.others]) !== before) this.#changed();
  }

  forget(username: string): void {
    clearTimeout(this.#others.get(username));
    if (this.#others.delete(username)) this.#changed();
  }

  close(): void {
    clearTimeout(this.#stopping);
    this.#clear();
  }

  #changed(): void {
    this.#names = undefined;
    this.#surroundings.changed(this.others);
  }

  #remember(username: string): void {
    this.#others.set(
      username,
      setTimeout(() => this.forget(username), FORGET_MS),
    );
  }

  #clear(): void {
    for (const timer of [this.#several, ...this.#others.values()]) clearTimeout(timer);
    this.#several = undefined;
    this.#names = undefined;
    this.#others.clear();
  }
}
