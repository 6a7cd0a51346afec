/** The answer to one request, as a value that any transport can deliver. */
import { type Ack, ChatError, type EventName } from '@engawa/protocol';
import type { Connection } from '../connections/connection.ts';
import type { MemoryReservation } from '../limits/response-memory.ts';

/** Bytes that may be unread by a client before the response to its query is made. */
export const MAX_UNREAD_QUERY_BYTES = 256 * 1024;

interface AnswerDetails {
  connection: Connection;
  /** The validated payload; undefined if the request was refused before it was parsed. */
  request?: object | undefined;
  /** The memory of a large response. */
  reservation?: MemoryReservation | undefined;
  /** The connection exceeded its rate of refusals: it is disconnected after this answer. */
  isLast?: boolean;
}

export class Answer {
  readonly ack: Ack<EventName>;
  readonly #details: AnswerDetails;

  constructor(ack: Ack<EventName>, details: AnswerDetails) {
    this.ack = ack;
    this.#details = details;
  }

  get request(): object | undefined {
    return this.#details.request;
  }

  /**
   * Call this once, even if the client is disconnected. `write` hands the answer to the peer. The memory is released when the
   * client has read it.
   */
  deliver(write: (ack: Ack<EventName>) => void): void {
    const { connection, reservation, isLast } = this.#details;
    const { peer } = connection;
    try {
      write(this.ack);
    } finally {
      reservation?.releaseAfter(peer.waitUntilRead(MAX_UNREAD_QUERY_BYTES));
      if (isLast) {
        peer.emit('error', new ChatError('too_many_refusals').toPayload());
        peer.disconnectAfterDrain();
      }
    }
  }
}
