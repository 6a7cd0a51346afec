import type { Ack, ErrorPayload, EventName, QueryName, RequestInput, ServerNotice } from '@engawa/protocol';
import { MAX_FRAME_BYTES } from '@engawa/protocol/bounds';
import { backoff } from './backoff.ts';
import { jsonByteLength } from './byte-size.ts';
import { CancellableTimers } from './cancellable-timers.ts';
import type { ConnectionError } from './connection-error.ts';
import { closedResult, type ErrorInfo, failedResult, type Result } from './result.ts';
import type { Transport, TransportListeners } from './transport.ts';

/** `connecting` until the first connection, `reconnecting` after each that was lost, `closed` for good. */
export type ClientState = 'connecting' | 'online' | 'reconnecting' | 'closed';

const REQUEST_TIMEOUT_MS = 10_000;
/** After a loss nobody is told for so long that there is no answer. */
const SUPPRESS_UNREACHABLE_MS = 30_000;
/** Some of a frame is Socket.IO's. */
const MAX_REQUEST_BYTES = MAX_FRAME_BYTES - 1024;
/** Of a page, or of what was missed: as many at first, so that a slow line takes seconds; a quarter when there was no answer in time. */
const INITIAL_PAGE_BYTES = 64 * 1024;
const MIN_PAGE_BYTES = 4 * 1024;
const MAX_PAGE_BYTES = 1024 * 1024;
/** After an answer that was large and took no longer twice as many are asked for. */
const FAST_RESPONSE_MS = 1_000;

interface ConnectionListeners {
  onStateChange(state: ClientState): void;
  onError(error: ErrorPayload | ConnectionError): void;
  onEvent(event: string, payload: unknown): void;
}

/** The one connection of a client: comes back after every loss, and never throws. */
export class Connection {
  readonly #transport: Transport;
  readonly #listeners: ConnectionListeners;
  readonly timers = new CancellableTimers();
  session = '';
  state: ClientState = 'connecting';
  /** Counts connections: who waited for something knows by it whether it is still the same one. */
  generation = 0;
  #attempts = 0;
  #pageBytes = INITIAL_PAGE_BYTES;
  #suppressUnreachableUntil = 0;
  #reopenTimer: ReturnType<typeof setTimeout> | undefined;
  #reconnectAt: number | undefined;
  /** Until it is up, or closed. */
  #stateWaiters: (() => void)[] = [];
  readonly #rateLimitQueues = new Map<EventName, Promise<void>>();
  /** Why it is closed, when nobody closed it. */
  closeError: ErrorInfo | undefined;

  constructor(createTransport: (listeners: TransportListeners) => Transport, listeners: ConnectionListeners) {
    this.#listeners = listeners;
    this.#transport = createTransport({
      onConnect: () => {
        if (this.state === 'closed' || this.isUp) return;
        this.generation += 1;
        this.#attempts = 0;
        this.#setState('online');
      },
      onDisconnect: () => {
        if (this.state === 'closed') return;
        this.#onConnectionLost();
        if (this.#reconnectAt !== undefined) this.#reopenIn(this.#reconnectAt - Date.now());
      },
      onRejected: (error) => {
        if (this.state === 'closed') return;
        this.#listeners.onError(error);
        this.#onConnectionLost();
        if (error.retryable) this.#reopenIn(error.retryAfter ?? 500 + backoff(++this.#attempts));
        else this.close();
      },
      onConnectError: (error) => {
        // Whoever is away for a moment need not say so.
        if (this.state === 'closed' || (error.code === 'unreachable' && Date.now() < this.#suppressUnreachableUntil)) return;
        // What was reached once may come back, whatever is in its place now.
        const retryable = error.retryable || this.generation > 0;
        this.#listeners.onError({ ...error, retryable });
        if (!retryable) this.close(error);
      },
      onEvent: (event, payload) => this.#onEvent(event, payload),
    });
  }

  get isUp(): boolean {
    return this.state === 'online';
  }

  open(session: string): void {
    this.session = session;
    if (this.state !== 'closed') this.#transport.open({ session });
  }

  close(error?: ErrorInfo): void {
    if (this.state === 'closed') return;
    this.closeError = error;
    clearTimeout(this.#reopenTimer);
    this.#setState('closed');
    this.#transport.close();
    this.timers.close();
  }

  /** The connection does not answer: another one. */
  reconnect(): void {
    this.#onConnectionLost();
    this.#reopenIn(0);
  }

  /** Who looks again need not wait for the next try; a time that the server gave is kept to. */
  reconnectNow(): void {
    if (this.state === 'reconnecting' && this.#reopenTimer === undefined) this.#reopenIn(0);
  }

  /** Until it is hastened. */
  suspend(): void {
    if (!this.isUp) return;
    this.#transport.close();
    this.#onConnectionLost();
  }

  /** Nothing when there was no answer: what became of the ask is not known. */
  async request<E extends EventName>(event: E, payload: RequestInput<E>, timeoutMs = REQUEST_TIMEOUT_MS): Promise<Ack<E> | undefined> {
    if (!this.isUp) return undefined;
    // It would end the connection, and the next, and the next.
    if (jsonByteLength(payload) > MAX_REQUEST_BYTES) return failedResult('invalid_payload', 'It is larger than a frame may be.') as Ack<E>;
    const pageBytes = this.#pageBytes;
    const startedAt = Date.now();
    const isPage = event === 'list:chats' || event === 'resume:rooms';
    const answer = await this.#transport
      .request(event, isPage ? { ...payload, bytes: pageBytes } : payload, timeoutMs)
      .catch(() => undefined);
    const elapsedMs = Date.now() - startedAt;
    if (!answer && elapsedMs >= timeoutMs) this.#pageBytes = Math.max(pageBytes / 4, MIN_PAGE_BYTES);
    if (isPage && elapsedMs < FAST_RESPONSE_MS && jsonByteLength(answer) > pageBytes / 2)
      this.#pageBytes = Math.min(pageBytes * 2, MAX_PAGE_BYTES);
    return isAnswer<E>(answer) ? answer : undefined;
  }

  /** Asks, over as many connections as it takes, until there is a definitive answer. */
  async requestUntilAnswered<E extends QueryName>(event: E, payload: RequestInput<E>): Promise<Result<E>> {
    for (let attempt = 0; ; attempt += 1) {
      while (this.state !== 'closed' && !this.isUp) await new Promise<void>((resolve) => this.#stateWaiters.push(resolve));
      if (this.state === 'closed') return closedResult(this.closeError);
      const answer = await this.request(event, payload);
      if (answer && (answer.ok || !answer.error.retryable)) return answer;
      await this.timers.sleep(answer?.error.retryAfter ?? backoff(attempt));
    }
  }

  /**
   * Who is asked to slow down waits in line with the others of this event: else all would ask again at the same time, and
   * again. Resolves when those before have left, with what leaves.
   */
  async waitInRateLimitQueue(event: EventName): Promise<() => void> {
    const previous = this.#rateLimitQueues.get(event);
    let release = (): void => undefined;
    this.#rateLimitQueues.set(
      event,
      new Promise<void>((resolve) => {
        release = resolve;
      }),
    );
    await previous;
    return release;
  }

  #onConnectionLost(): void {
    if (!this.isUp) return;
    this.generation += 1;
    this.#suppressUnreachableUntil = Date.now() + SUPPRESS_UNREACHABLE_MS;
    this.#setState('reconnecting');
  }

  #onEvent(event: string, payload: unknown): void {
    if (this.state === 'closed') return;
    if (event !== 'close:connection') {
      this.#listeners.onEvent(event, payload);
      return;
    }
    // What is being asked may still be answered; then the server ends the connection, or it is left when the time has come.
    const returnAfter = Number((payload as Partial<ServerNotice<'close:connection'>> | undefined)?.returnAfter) || 0;
    this.#reconnectAt = Date.now() + returnAfter;
    clearTimeout(this.#reopenTimer);
    this.#reopenTimer = setTimeout(() => this.reconnect(), returnAfter);
  }

  /** The link comes back only then: until that time it is kept from trying by itself. */
  #reopenIn(milliseconds: number): void {
    // A listener that was just told may have closed the client.
    if (this.state === 'closed') return;
    clearTimeout(this.#reopenTimer);
    this.#reconnectAt = undefined;
    this.#reopenTimer = setTimeout(
      () => {
        this.#reopenTimer = undefined;
        this.#transport.close();
        this.#transport.open({ session: this.session });
      },
      Math.max(0, milliseconds),
    );
    this.#transport.close();
  }

  #setState(state: ClientState): void {
    this.state = state;
    for (const resolve of this.#stateWaiters.splice(0)) resolve();
    this.#listeners.onStateChange(state);
  }
}

const isAnswer = <E extends EventName>(answer: unknown): answer is Ack<E> => {
  const { ok, error } = (answer ?? {}) as { ok?: unknown; error?: unknown };
  return ok === true || (ok === false && error instanceof Object);
};
