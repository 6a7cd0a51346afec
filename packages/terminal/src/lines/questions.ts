/** Questions that a program asks its server as often as it takes, for what the SDK asks only in rooms that were joined. */
import type { Client } from '@engawa/client';
import { socketLink } from '@engawa/client/link';
import type { Answer, Ask, QuestionName, Reply, WireError } from '@engawa/protocol';

/** What is answered where nothing is refused. */
export type Done<E extends QuestionName> = { ok: true } & Reply<E>;

type Link = ReturnType<typeof socketLink>;

const ANSWER_MS = 10_000;
const RETRY_MS = 1_000;

/** A link as the client makes it, and what asks over it. */
export class Questions {
  #link: Link | undefined;
  #client: Client | undefined;

  readonly link: typeof socketLink = (url, listeners, options) => {
    this.#link = socketLink(url, listeners, options);
    return this.#link;
  };

  /** Over this client, whose link this is. */
  over(client: Client): void {
    this.#client = client;
  }

  /**
   * Asks, over as many connections as it takes, until there is a definitive answer. A page that does not come in time is asked
   * for in halves: the line may be slow.
   *
   * @throws {Refused} with what the server said.
   */
  async ask<E extends QuestionName>(event: E, asked: Ask<E> & { limit?: number }): Promise<Done<E>> {
    for (let { limit } = asked; ; ) {
      await this.#connected();
      const payload = limit === undefined ? asked : { ...asked, limit };
      const answer = (await this.#link?.ask(event, payload, ANSWER_MS).catch(() => undefined)) as Answer<E> | undefined;
      if (answer?.ok) return answer;
      if (answer && !answer.error.retryable) throw new Refused(answer.error);
      if (answer) await pause(answer.error.retryAfter ?? RETRY_MS);
      else if (this.#client?.state === 'online') {
        limit &&= Math.max(1, Math.floor(limit / 2));
        // It may be dead without having said so.
        this.#client.sync();
      }
    }
  }

  /** Never resolves once the client is closed for good: those who wait are ended by what closed it. */
  async #connected(): Promise<void> {
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

export class Refused extends Error {
  readonly code: WireError['code'];

  constructor({ code, message }: WireError) {
    super(message);
    this.code = code;
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
