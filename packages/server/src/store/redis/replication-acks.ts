/** Asks Redis (WAIT, WAITAOF) whether writes are replicated or on disk; concurrent callers share a call. */
import { unwrapReply } from './redis-client.ts';
import type { Command, ConnectionSession, Reply } from './redis-connection.ts';

/**
 * Asks after a write, on its connection, whether the write is durable enough. The reply covers all earlier writes of the
 * connection, so callers that come meanwhile share the next command.
 */
export class ReplicationAcks {
  readonly #command: Command;
  readonly #rounds = new WeakMap<ConnectionSession, { now: Promise<unknown>; next: Promise<Reply> | undefined }>();

  constructor(command: Command) {
    this.#command = command;
  }

  async request(session: ConnectionSession): Promise<Reply> {
    const round = this.#rounds.get(session) ?? { now: Promise.resolve(), next: undefined };
    this.#rounds.set(session, round);
    round.next ??= round.now.then(() => {
      round.now = (round.next as Promise<Reply>).catch(() => undefined);
      round.next = undefined;
      return session.send(this.#command).then(unwrapReply);
    });
    return round.next;
  }
}
