// Sends queries to the server without joining a room, and retries until one is answered.
import type { Client } from '@engawa/client';
import { createSocketIoTransport } from '@engawa/client/transport';
import type { Ack, ErrorPayload, QueryName, RequestInput, ResponsePayload } from '@engawa/protocol';

/** The response to a query that was not refused. */
export type QuerySuccess<E extends QueryName> = { ok: true } & ResponsePayload<E>;

type Transport = ReturnType<typeof createSocketIoTransport>;

const QUERY_TIMEOUT_MS = 10_000;
const RETRY_DELAY_MS = 1_000;

/** Sends queries over the transport of a client. */
export class QueryClient {
  #transport: Transport | undefined;
  #client: Client | undefined;

  readonly createTransport: typeof createSocketIoTransport = (url, listeners, options) => {
    this.#transport = createSocketIoTransport(url, listeners, options);
    return this.#transport;
  };

  /** Uses the transport of this client. */
  attach(client: Client): void {
    this.#client = client;
  }

  /**
   * Repeats a query, over several connections if necessary, until the server answers it. Halves the page size after a timeout,
   * because the network may be slow.
   *
   * @throws {QueryRefusedError} with the error of the server.
   */
  async query<E extends QueryName>(event: E, request: RequestInput<E> & { limit?: number }): Promise<QuerySuccess<E>> {
    for (let { limit } = request; ; ) {
      await this.#waitForConnection();
      const payload = limit === undefined ? request : { ...request, limit };
      const answer = (await this.#transport?.request(event, payload, QUERY_TIMEOUT_MS).catch(() => undefined)) as Ack<E> | undefined;
      if (answer?.ok) return answer;
      if (answer && !answer.error.retryable) throw new QueryRefusedError(answer.error);
      if (answer) await sleep(answer.error.retryAfterMs ?? RETRY_DELAY_MS);
      else if (this.#client?.state === 'online') {
        limit &&= Math.max(1, Math.floor(limit / 2));
        // The connection may be dead without a close event.
        this.#client.sync();
      }
    }
  }

  /** Never resolves after the client has closed for good: the caller is ended by the failure that closed the client. */
  async #waitForConnection(): Promise<void> {
    if (this.#client?.state === 'online') return;
    await new Promise<void>((resolve) => {
      const end = this.#client?.on('state', (state) => {
        if (state !== 'online') return;
        end?.();
        resolve();
      });
    });
  }
}

export class QueryRefusedError extends Error {
  readonly code: ErrorPayload['code'];

  constructor({ code, message }: ErrorPayload) {
    super(message);
    this.code = code;
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
