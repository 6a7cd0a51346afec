import type { Command, Link, Reply } from './connection.ts';
import { answerOf } from './nodes.ts';

/**
 * Asks, after a write and on its connection, whether that write is as safe as it must be. Redis answers for all that was
 * written on the connection before, so those who ask meanwhile share the next question.
 */
export class Confirmations {
  readonly #command: Command;
  readonly #rounds = new WeakMap<Link, { now: Promise<unknown>; next: Promise<Reply> | undefined }>();

  constructor(command: Command) {
    this.#command = command;
  }

  async ask(link: Link): Promise<Reply> {
    const round = this.#rounds.get(link) ?? { now: Promise.resolve(), next: undefined };
    this.#rounds.set(link, round);
    round.next ??= round.now.then(() => {
      round.now = (round.next as Promise<Reply>).catch(() => undefined);
      round.next = undefined;
      return link.send(this.#command).then(answerOf);
    });
    return round.next;
  }
}
