const AGAIN_MS = 3_000;
const STOP_MS = 5_000;
const FORGET_MS = 6_000;

interface Surroundings {
  say: (event: 'start:typing' | 'stop:typing') => void;
  /** Somebody began or stopped. */
  changed: (usernames: string[]) => void;
}

type Timer = ReturnType<typeof setTimeout>;

/** Who is typing, oneself included: said again while it lasts, and forgotten when it is not. */
export class Typing {
  readonly #surroundings: Surroundings;
  readonly #others = new Map<string, Timer>();
  #saidAt = Number.NEGATIVE_INFINITY;
  #stopping: Timer | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  get others(): string[] {
    return [...this.#others.keys()];
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
    this.#others.set(
      username,
      setTimeout(() => this.forget(username), FORGET_MS),
    );
    if (isNew) this.#surroundings.changed(this.others);
  }

  forget(username: string): void {
    clearTimeout(this.#others.get(username));
    if (this.#others.delete(username)) this.#surroundings.changed(this.others);
  }

  close(): void {
    clearTimeout(this.#stopping);
    for (const timer of this.#others.values()) clearTimeout(timer);
    this.#others.clear();
  }
}
