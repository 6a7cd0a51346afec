import type { Answer, Ask, EventName, Notice, QuestionName, WireError } from '@engawa/protocol';
import { FRAME_BYTES } from '@engawa/protocol/bounds';
import { backoff } from './backoff.ts';
import type { ConnectionError } from './connection-error.ts';
import type { Link, LinkListeners } from './link.ts';
import { closed, type Refusal, type Result, refused } from './result.ts';
import { sizeOf } from './size.ts';
import { Sleeper } from './sleeper.ts';

/** `connecting` until the first connection, `reconnecting` after each that was lost, `closed` for good. */
export type ClientState = 'connecting' | 'online' | 'reconnecting' | 'closed';

const ANSWER_MS = 10_000;
/** After a loss nobody is told for so long that there is no answer. */
const QUIET_MS = 30_000;
/** Some of a frame is Socket.IO's. */
const MAX_BYTES = FRAME_BYTES - 1024;
/** Of a page, or of what was missed: as many at first, so that a slow line takes seconds; a quarter when there was no answer in time. */
const PAGE_BYTES = 64 * 1024;
const LEAST_BYTES = 4 * 1024;
const MOST_BYTES = 1024 * 1024;
/** After an answer that was large and took no longer twice as many are asked for. */
const QUICK_MS = 1_000;

interface Listeners {
  state(state: ClientState): void;
  error(error: WireError | ConnectionError): void;
  heard(event: string, payload: unknown): void;
}

/** The one connection of a client: comes back after every loss, and never throws. */
export class Connection {
  readonly #link: Link;
  readonly #listeners: Listeners;
  readonly sleeper = new Sleeper();
  session = '';
  state: ClientState = 'connecting';
  /** Counts connections: who waited for something knows by it whether it is still the same one. */
  number = 0;
  #attempts = 0;
  #pageBytes = PAGE_BYTES;
  #quietUntil = 0;
  #opening: ReturnType<typeof setTimeout> | undefined;
  #returnAt: number | undefined;
  /** Until it is up, or closed. */
  #waiting: (() => void)[] = [];
  readonly #lines = new Map<EventName, Promise<void>>();
  /** Why it is closed, when nobody closed it. */
  refusal: Refusal | undefined;

  constructor(link: (listeners: LinkListeners) => Link, listeners: Listeners) {
    this.#listeners = listeners;
    this.#link = link({
      up: () => {
        if (this.state === 'closed' || this.isUp) return;
        this.number += 1;
        this.#attempts = 0;
        this.#become('online');
      },
      down: () => {
        if (this.state === 'closed') return;
        this.#lost();
        if (this.#returnAt !== undefined) this.#openIn(this.#returnAt - Date.now());
      },
      refused: (error) => {
        if (this.state === 'closed') return;
        this.#listeners.error(error);
        this.#lost();
        if (error.retryable) this.#openIn(error.retryAfter ?? 500 + backoff(++this.#attempts));
        else this.close();
      },
      failed: (error) => {
        // Whoever is away for a moment need not say so.
        if (this.state === 'closed' || (error.code === 'unreachable' && Date.now() < this.#quietUntil)) return;
        // What was reached once may come back, whatever is in its place now.
        const retryable = error.retryable || this.number > 0;
        this.#listeners.error({ ...error, retryable });
        if (!retryable) this.close(error);
      },
      heard: (event, payload) => this.#heard(event, payload),
    });
  }

  get isUp(): boolean {
    return this.state === 'online';
  }

  open(session: string): void {
    this.session = session;
    if (this.state !== 'closed') this.#link.open({ session });
  }

  close(why?: Refusal): void {
    if (this.state === 'closed') return;
    this.refusal = why;
    clearTimeout(this.#opening);
    this.#become('closed');
    this.#link.close();
    this.sleeper.close();
  }

  /** The connection does not answer: another one. */
  renew(): void {
    this.#lost();
    this.#openIn(0);
  }

  /** Who looks again need not wait for the next try; a time that the server gave is kept to. */
  hasten(): void {
    if (this.state === 'reconnecting' && this.#opening === undefined) this.#openIn(0);
  }

  /** Until it is hastened. */
  hangUp(): void {
    if (!this.isUp) return;
    this.#link.close();
    this.#lost();
  }

  /** Nothing when there was no answer: what became of the ask is not known. */
  async ask<E extends EventName>(event: E, payload: Ask<E>, timeoutMs = ANSWER_MS): Promise<Answer<E> | undefined> {
    if (!this.isUp) return undefined;
    // It would end the connection, and the next, and the next.
    if (sizeOf(payload) > MAX_BYTES) return refused('invalid_payload', 'It is larger than a frame may be.') as Answer<E>;
    const bytes = this.#pageBytes;
    const asked = Date.now();
    const isPage = event === 'list:chats' || event === 'resume:rooms';
    const answer = await this.#link.ask(event, isPage ? { ...payload, bytes } : payload, timeoutMs).catch(() => undefined);
    const took = Date.now() - asked;
    if (!answer && took >= timeoutMs) this.#pageBytes = Math.max(bytes / 4, LEAST_BYTES);
    if (isPage && took < QUICK_MS && sizeOf(answer) > bytes / 2) this.#pageBytes = Math.min(bytes * 2, MOST_BYTES);
    return isAnswer<E>(answer) ? answer : undefined;
  }

  /** Asks, over as many connections as it takes, until there is a definitive answer. */
  async insist<E extends QuestionName>(event: E, payload: Ask<E>): Promise<Result<E>> {
    for (let attempt = 0; ; attempt += 1) {
      while (this.state !== 'closed' && !this.isUp) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (this.state === 'closed') return closed(this.refusal);
      const answer = await this.ask(event, payload);
      if (answer && (answer.ok || !answer.error.retryable)) return answer;
      await this.sleeper.sleep(answer?.error.retryAfter ?? backoff(attempt));
    }
  }

  /**
   * Who is asked to slow down waits in line with the others of this event: else all would ask again at the same time, and
   * again. Resolves when those before have left, with what leaves.
   */
  async inLine(event: EventName): Promise<() => void> {
    const before = this.#lines.get(event);
    let leave = (): void => undefined;
    this.#lines.set(
      event,
      new Promise<void>((resolve) => {
        leave = resolve;
      }),
    );
    await before;
    return leave;
  }

  #lost(): void {
    if (!this.isUp) return;
    this.number += 1;
    this.#quietUntil = Date.now() + QUIET_MS;
    this.#become('reconnecting');
  }

  #heard(event: string, payload: unknown): void {
    if (this.state === 'closed') return;
    if (event !== 'close:connection') {
      this.#listeners.heard(event, payload);
      return;
    }
    // What is being asked may still be answered; then the server ends the connection, or it is left when the time has come.
    const returnAfter = Number((payload as Partial<Notice<'close:connection'>> | undefined)?.returnAfter) || 0;
    this.#returnAt = Date.now() + returnAfter;
    clearTimeout(this.#opening);
    this.#opening = setTimeout(() => this.renew(), returnAfter);
  }

  /** The link comes back only then: until that time it is kept from trying by itself. */
  #openIn(milliseconds: number): void {
    // A listener that was just told may have closed the client.
    if (this.state === 'closed') return;
    clearTimeout(this.#opening);
    this.#returnAt = undefined;
    this.#opening = setTimeout(
      () => {
        this.#opening = undefined;
        this.#link.close();
        this.#link.open({ session: this.session });
      },
      Math.max(0, milliseconds),
    );
    this.#link.close();
  }

  #become(state: ClientState): void {
    this.state = state;
    for (const resolve of this.#waiting.splice(0)) resolve();
    this.#listeners.state(state);
  }
}

const isAnswer = <E extends EventName>(answer: unknown): answer is Answer<E> => {
  const { ok, error } = (answer ?? {}) as { ok?: unknown; error?: unknown };
  return ok === true || (ok === false && error instanceof Object);
};
