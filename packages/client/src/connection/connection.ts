/** The connection of a client: reconnects after every loss, and never throws. */
import type { Ack, ErrorPayload, EventName, QueryName, RequestInput, ServerNotice } from '@engawa/protocol';
import { MAX_FRAME_BYTES } from '@engawa/protocol/bounds';
import { jsonByteLength } from './byte-size.ts';
import { CancellableTimers } from './cancellable-timers.ts';
import type { ConnectionError } from './connection-error.ts';
import { closedResult, type ErrorInfo, failedResult, type Result } from './result.ts';
import { retry, retryDelayMs } from './retry.ts';
import type { Transport, TransportListeners } from './transport.ts';

/** `connecting` until the first connection, `reconnecting` after each loss, `closed` for good. */
export type ClientState = 'connecting' | 'online' | 'reconnecting' | 'closed';

/** The least time before a rejected connection is opened again. */
const MIN_REOPEN_MS = 500;
const REQUEST_TIMEOUT_MS = 10_000;
/** Milliseconds after a loss in which `unreachable` is not reported. */
const SUPPRESS_UNREACHABLE_MS = 30_000;
/** Socket.IO needs a part of the frame. */
const MAX_REQUEST_BYTES = MAX_FRAME_BYTES - 1024;
/**
 * Page sizes: for pages, and for missed entries. The first size takes seconds on a slow network; after a time-out a quarter is
 * requested.
 */
const INITIAL_PAGE_BYTES = 64 * 1024;
const MIN_PAGE_BYTES = 4 * 1024;
const MAX_PAGE_BYTES = 1024 * 1024;
/** A large answer within this time doubles the page size. */
const FAST_RESPONSE_MS = 1_000;

interface ConnectionListeners {
  onStateChange(state: ClientState): void;
  onError(error: ErrorPayload | ConnectionError): void;
  onEvent(event: string, payload: unknown): void;
}

/** The only connection of a client. It reconnects after every loss, and never throws. */
export class Connection {
  readonly #transport: Transport;
  readonly #listeners: ConnectionListeners;
  readonly timers = new CancellableTimers();
  session = '';
  state: ClientState = 'connecting';
  /** Changes with each connection and each loss: after an `await`, compare it to see whether the connection is still the same. */
  generation = 0;
  #attempts = 0;
  #pageBytes = INITIAL_PAGE_BYTES;
  #suppressUnreachableUntil = 0;
  #reopenTimer: ReturnType<typeof setTimeout> | undefined;
  #reconnectAt: number | undefined;
  /** They resolve at the next change of the state. */
  #stateWaiters: (() => void)[] = [];
  readonly #rateLimitQueues = new Map<EventName, Promise<void>>();
  /** Why the connection is closed, unless `close` was called by the application. */
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
        if (error.retryable) this.#reopenIn(error.retryAfterMs ?? MIN_REOPEN_MS + retryDelayMs(++this.#attempts));
        else this.close();
      },
      onConnectError: (error) => {
        // A server that restarts is not an error to report.
        if (this.state === 'closed' || (error.code === 'unreachable' && Date.now() < this.#suppressUnreachableUntil)) return;
        // An address that once had a server may have it again: never give up on it.
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

  /** Replaces a connection that does not answer. */
  reconnect(): void {
    this.#onConnectionLost();
    this.#reopenIn(0);
  }

  /** Ends a back-off. A delay that the server gave still applies. */
  reconnectNow(): void {
    if (this.state === 'reconnecting' && this.#reopenTimer === undefined) this.#reopenIn(0);
  }

  /** Closes the transport until `reconnectNow`. */
  suspend(): void {
    if (!this.isUp) return;
    this.#transport.close();
    this.#onConnectionLost();
  }

  /** Undefined without an answer: then the outcome is unknown. */
  async request<E extends EventName>(event: E, payload: RequestInput<E>, timeoutMs = REQUEST_TIMEOUT_MS): Promise<Ack<E> | undefined> {
    if (!this.isUp) return undefined;
    // The server would close the connection, and the retry would close the next one.
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

  /** Repeats the request, over as many connections as necessary, until there is a definitive answer. */
  async requestUntilAnswered<E extends QueryName>(event: E, payload: RequestInput<E>): Promise<Result<E>> {
    const isClosed = () => this.state === 'closed';
    const request = async () => {
      while (!isClosed() && !this.isUp) await new Promise<void>((resolve) => this.#stateWaiters.push(resolve));
      return this.request(event, payload);
    };
    return (await retry(this.timers, request, isClosed)) ?? closedResult(this.closeError);
  }

  /**
   * Queues the rate-limited requests of one event: otherwise all would retry at the same time, again and again. Resolves when the
   * previous ones have been released, with the function that releases this one.
   */
  async waitInRateLimitQueue(event: EventName): Promise<() => void> {
    const previous = this.#rateLimitQueues.get(event);
    let release!: () => void;
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
    if (event !== 'server:closing') {
      this.#listeners.onEvent(event, payload);
      return;
    }
    // Requests in progress can still be answered before the server ends the connection. If it does not, the timer does.
    const reconnectAfterMs = Number((payload as Partial<ServerNotice<'server:closing'>> | undefined)?.reconnectAfterMs) || 0;
    this.#reconnectAt = Date.now() + reconnectAfterMs;
    clearTimeout(this.#reopenTimer);
    this.#reopenTimer = setTimeout(() => this.reconnect(), reconnectAfterMs);
  }

  /** Opens the transport after this time. Until then it stays closed, so that it does not reconnect by itself. */
  #reopenIn(milliseconds: number): void {
    // A listener may have closed the client just before.
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
