import type { HistoryRange, MemberRange, Position } from '@engawa/client';
import type { Ask, QuestionName } from '@engawa/protocol';
import { Failure } from '../failure.ts';
import type { Program } from './program.ts';
import { type Done, pause, Refused } from './questions.ts';

/** Entries of one question. */
const MOST_ENTRIES = 500;
/** A room that is not there any more is asked for once more: it may be opened anew. */
const SECOND_TRY_MS = 1_000;

/** A room that is looked at and not joined: nobody there learns of it. What is refused ends the program. */
export class RoomView {
  readonly id: string;
  readonly #program: Program;
  #wasThere = false;

  constructor(program: Program, id: string) {
    this.#program = program;
    this.id = id;
  }

  /** Where the room is. */
  async position(): Promise<Position> {
    const { epoch, seq, tail } = await this.history({ limit: 1 });
    return { epoch, seq, id: tail };
  }

  history(range: HistoryRange): Promise<Done<'list:chats'>> {
    return this.#ask('list:chats', { roomId: this.id, ...range });
  }

  members(range: MemberRange): Promise<Done<'list:members'>> {
    return this.#ask('list:members', { roomId: this.id, ...range });
  }

  /** What it was told after a position. */
  entries({ epoch, seq, id }: Position): Promise<Done<'list:entries'>> {
    return this.#ask('list:entries', { roomId: this.id, epoch, seq, id, limit: MOST_ENTRIES });
  }

  async #ask<E extends QuestionName>(event: E, asked: Ask<E>, isSecondTry = false): Promise<Done<E>> {
    try {
      const answer = await this.#program.unlessOver(this.#program.questions.ask(event, asked));
      this.#wasThere = true;
      return answer;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const isGone = this.#wasThere && error.code === 'room_not_found';
      if (isGone && !isSecondTry) {
        await this.#program.unlessOver(pause(SECOND_TRY_MS));
        return this.#ask(event, asked, true);
      }
      throw new Failure(`${this.id}: ${isGone ? 'the room was deleted' : error.message}`, 1, { cause: error });
    }
  }
}
