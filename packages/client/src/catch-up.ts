import type { Ask, Resumed, WireError } from '@engawa/protocol';
import { FRAME_BYTES, ROOMS_PER_RESUME } from '@engawa/protocol/bounds';
import type { Position } from '@engawa/protocol/position';
import { backoff } from './backoff.ts';
import type { Connection } from './connection.ts';
import { sizeOf } from './size.ts';

const ANSWER_MS = 20_000;
const PROBE_MS = 5_000;

/** A room that has fallen behind. */
export interface Behind {
  readonly roomId: string;
  readonly username: string;
  /** What it has of the room. */
  readonly held: Position | undefined;
  resumed(outcome: Resumed): void;
  /** It is to be asked for again, unless it has ended. */
  sync(): void;
}

/** A room, and what it was asked with; nothing where it has no position yet. */
interface Asked {
  room: Behind;
  held: Ask<'resume:rooms'>['rooms'];
}

/** Asks for what rooms missed: one question at a time, for all that are behind together, until none is. */
export class CatchUp {
  readonly #connection: Connection;
  readonly #onError: (error: WireError) => void;
  readonly #due = new Set<Behind>();
  #isRunning = false;
  #isAsking = false;
  #patience = ANSWER_MS;

  constructor(connection: Connection, onError: (error: WireError) => void) {
    this.#connection = connection;
    this.#onError = onError;
  }

  add(room: Behind): void {
    this.#due.add(room);
    if (!this.#isRunning) void this.#run();
  }

  /** The connection is gone, and each room comes again with the next. */
  clear(): void {
    this.#due.clear();
  }

  /** The connection may be dead without anybody having noticed: it is given up sooner. */
  async probe(): Promise<void> {
    this.#patience = PROBE_MS;
    if (this.#due.size > 0 && !this.#isAsking) return;
    const { number } = this.#connection;
    const answer = await this.#connection.ask('list:rooms', { limit: 1 }, PROBE_MS);
    if (!answer && number === this.#connection.number) this.#connection.renew();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Rooms that are added in the same moment go together.
    await Promise.resolve();
    for (let failures = 0; this.#due.size > 0 && this.#connection.isUp; ) {
      const wait = await this.#ask(failures);
      failures = wait === 0 ? 0 : failures + 1;
      if (wait > 0) await this.#connection.sleeper.sleep(wait);
    }
    this.#isRunning = false;
  }

  /** Milliseconds after which it is to be asked again, if it is to be. */
  async #ask(failures: number): Promise<number> {
    const asked = this.#take();
    const rooms = [...asked.values()].flatMap(({ held }) => held);
    if (rooms.length === 0) return 0;
    const { number } = this.#connection;
    this.#isAsking = true;
    const patience = this.#patience;
    this.#patience = ANSWER_MS;
    const answer = await this.#connection.ask('resume:rooms', { rooms }, patience);
    this.#isAsking = false;
    if (number !== this.#connection.number) return 0;
    if (answer?.ok) return this.#tell(asked, answer.rooms) ? 0 : backoff(failures);
    if (answer) {
      if (!answer.error.retryable) this.#onError(answer.error);
      for (const { room } of asked.values()) room.sync();
    } else this.#connection.renew();
    return answer?.error.retryAfter ?? backoff(failures);
  }

  /** As many rooms as one question may have, by count and by bytes. */
  #take(): Map<string, Asked> {
    const taken = new Map<string, Asked>();
    let bytes = 0;
    for (const room of this.#due) {
      // A room that was closed and joined again may be behind twice; it is named once.
      if (taken.has(room.roomId)) continue;
      const { roomId, username } = room;
      const held = room.held ? [{ roomId, username, ...room.held }] : [];
      bytes += sizeOf(held);
      if (taken.size === ROOMS_PER_RESUME || (taken.size > 0 && bytes > FRAME_BYTES / 2)) break;
      taken.set(roomId, { room, held });
      this.#due.delete(room);
    }
    return taken;
  }

  /** A room for which there was no place in the answer comes with the next question. False when that is so of all. */
  #tell(asked: Map<string, Asked>, outcomes: Resumed[]): boolean {
    let isTold = false;
    for (const outcome of outcomes) {
      const about = asked.get(outcome.roomId);
      if (!about) continue;
      if (isDeferred(outcome, about)) about.room.sync();
      else {
        isTold = true;
        about.room.resumed(outcome);
      }
    }
    return isTold;
  }
}

/** It says neither what the room missed, nor that it missed nothing. */
const isDeferred = (outcome: Resumed, { held: [held] }: Asked): boolean =>
  outcome.outcome === 'more' && outcome.entries.length === 0 && outcome.epoch === held?.epoch && outcome.seq === held.seq;
