// Read-only access to a room that was not joined.
import type { HistoryRange, MemberRange, Position } from '@engawa/client';
import type { QueryName, RequestInput } from '@engawa/protocol';
import { CliError } from '../command-line/cli-error.ts';
import type { CommandSession } from './command-session.ts';
import { QueryRefusedError, type QuerySuccess, sleep } from './query-client.ts';

/** Entries of one request. */
const MAX_ENTRIES = 500;
/** A missing room is requested once more after this time: it may be created again. */
const RETRY_DELAY_MS = 1_000;

/** Reads a room without joining it, so that its members do not notice. A refusal ends the command. */
export class RoomView {
  readonly id: string;
  readonly #session: CommandSession;
  #hasExisted = false;

  constructor(session: CommandSession, id: string) {
    this.#session = session;
    this.id = id;
  }

  /** The current position of the room. */
  async position(): Promise<Position> {
    const { epoch, seq, lastId } = await this.history({ limit: 1 });
    return { epoch, seq, id: lastId };
  }

  history(range: HistoryRange): Promise<QuerySuccess<'list:chats'>> {
    return this.#query('list:chats', { roomId: this.id, ...range });
  }

  members(range: MemberRange): Promise<QuerySuccess<'list:members'>> {
    return this.#query('list:members', { roomId: this.id, ...range });
  }

  /** Entries that were broadcast after a position. */
  entries({ epoch, seq, id }: Position): Promise<QuerySuccess<'list:entries'>> {
    return this.#query('list:entries', { roomId: this.id, epoch, seq, id, limit: MAX_ENTRIES });
  }

  async #query<E extends QueryName>(event: E, request: RequestInput<E>, isRetry = false): Promise<QuerySuccess<E>> {
    try {
      const answer = await this.#session.unlessAborted(this.#session.queries.query(event, request));
      this.#hasExisted = true;
      return answer;
    } catch (error) {
      if (!(error instanceof QueryRefusedError)) throw error;
      const isGone = this.#hasExisted && error.code === 'room_not_found';
      if (isGone && !isRetry) {
        await this.#session.unlessAborted(sleep(RETRY_DELAY_MS));
        return this.#query(event, request, true);
      }
      throw new CliError(`${this.id}: ${isGone ? 'the room was deleted' : error.message}`, 1, { cause: error });
    }
  }
}
