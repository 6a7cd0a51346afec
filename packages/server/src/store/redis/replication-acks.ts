import { unwrapReply } from './redis-client.ts';
import type { Command, ConnectionSession, Reply } from './redis-connection.ts';

/**
 * Asks, after a write and on its connection, whether that write is as safe as it must be. Redis answers for all that was
 * written on the connection before, so those who ask meanwhile share the next question.
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
