/** Questions that a program asks its server as often as it takes, for what the SDK asks only in rooms that were joined. */
import type { Client } from '@engawa/client';
import { createSocketIoTransport } from '@engawa/client/transport';
import type { Ack, ErrorPayload, QueryName, RequestInput, ResponsePayload } from '@engawa/protocol';

/** What is answered where nothing is refused. */
export type QuerySuccess<E extends QueryName> = { ok: true } & ResponsePayload<E>;

type Transport = ReturnType<typeof createSocketIoTransport>;

const QUERY_TIMEOUT_MS = 10_000;
const RETRY_DELAY_MS = 1_000;

/** A link as the client makes it, and what asks over it. */
export class QueryClient {
  #transport: Transport | undefined;
  #client: Client | undefined;

  readonly createTransport: typeof createSocketIoTransport = (url, listeners, options) => {
    this.#transport = createSocketIoTransport(url, listeners, options);
    return this.#transport;
  };

  /** Over this client, whose link this is. */
  attach(client: Client): void {
    this.#client = client;
  }

  /**
   * Asks, over as many connections as it takes, until there is a definitive answer. A page that does not come in time is asked
   * for in halves: the line may be slow.
   *
   * @throws {QueryRefusedError} with what the server said.
   */
  async query<E extends QueryName>(event: E, request: RequestInput<E> & { limit?: number }): Promise<QuerySuccess<E>> {
    for (let { limit } = request; ; ) {
      await this.#waitForConnection();
      const payload = limit === undefined ? request : { ...request, limit };
      const answer = (await this.#transport?.request(event, payload, QUERY_TIMEOUT_MS).catch(() => undefined)) as Ack<E> | undefined;
      if (answer?.ok) return answer;
      if (answer && !answer.error.retryable) throw new QueryRefusedError(answer.error);
      if (answer) await sleep(answer.error.retryAfter ?? RETRY_DELAY_MS);
      else if (this.#client?.state === 'online') {
        limit &&= Math.max(1, Math.floor(limit / 2));
        // It may be dead without having said so.
        this.#client.sync();
      }
    }
  }

  /** Never resolves once the client is closed for good: those who wait are ended by what closed it. */
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
