import type { Ask, Resumed, WireError } from '@engawa/protocol';
import { LIMITS } from '@engawa/protocol/limits';
import type { Position } from '@engawa/protocol/position';
import { backoff } from './backoff.ts';
import type { Connection } from './connection.ts';
import { sizeOf } from './size.ts';

const ANSWER_MS = 20_000;
const PROBE_MS = 5_000;
/** Entries of one answer, of all its rooms together: an answer is held whole. */
const ENTRIES = 2_000;
const FEWEST = 10;

/** A room that has fallen behind. */
export interface Behind {
  readonly roomId: string;
  readonly username: string;
  /** What it has of the room. */
  readonly held: Position | undefined;
  resumed(outcome: Resumed): void;
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
    for (let failures = 0; this.#due.size > 0 && this.#connection.isUp; ) failures = (await this.#ask()) ? 0 : await this.#pause(failures);
    this.#isRunning = false;
  }

  /** False when it is to be asked again after a while. */
  async #ask(): Promise<boolean> {
    const rooms = this.#take();
    const held = rooms.flatMap((room) => heldBy(room));
    if (held.length === 0) return true;
    const { number } = this.#connection;
    this.#isAsking = true;
    const answer = await this.#connection.ask('resume:rooms', { rooms: held, limit: limitFor(held.length) }, this.#takePatience());
    this.#isAsking = false;
    if (number !== this.#connection.number) return true;
    if (answer?.ok) return this.#tell(rooms, answer.rooms);
    if (!answer) this.#connection.renew();
    else this.#refused(rooms, answer.error);
    return false;
  }

  /** As many rooms as one question may have, by count and by bytes. */
  #take(): Behind[] {
    const taken: Behind[] = [];
    let bytes = 0;
    for (const room of this.#due) {
      bytes += sizeOf(heldBy(room));
      if (taken.length === LIMITS.roomsPerResume || (taken.length > 0 && bytes > LIMITS.frameBytes / 2)) break;
      taken.push(room);
      this.#due.delete(room);
    }
    return taken;
  }

  #tell(rooms: Behind[], outcomes: Resumed[]): true {
    const byId = new Map(rooms.map((room) => [room.roomId, room]));
    for (const outcome of outcomes) byId.get(outcome.roomId)?.resumed(outcome);
    return true;
  }

  #refused(rooms: Behind[], error: WireError): void {
    if (!error.retryable) this.#onError(error);
    for (const room of rooms) this.#due.add(room);
  }

  async #pause(failures: number): Promise<number> {
    await this.#connection.sleeper.sleep(backoff(failures));
    return failures + 1;
  }

  #takePatience(): number {
    const patience = this.#patience;
    this.#patience = ANSWER_MS;
    return patience;
  }
}

const heldBy = ({ roomId, username, held }: Behind): Ask<'resume:rooms'>['rooms'] => (held ? [{ roomId, username, ...held }] : []);

const limitFor = (rooms: number): number => Math.min(LIMITS.pageMax, Math.max(FEWEST, Math.floor(ENTRIES / rooms)));
