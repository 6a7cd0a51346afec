import { readFileSync, statSync } from 'node:fs';
import type { Position } from '@engawa/client';
import { Failure } from '../failure.ts';
import { codeOf, writePrivate } from '../profile/private-files.ts';

const SAVE_MS = 250;

/** What a mark is of. */
interface Place {
  server: string;
  room: string;
}

/** A file with the place up to which the output was taken. */
export class Mark {
  readonly #path: string;
  readonly #place: Place;
  readonly #failed: (failure: Failure) => void;
  #position: Position | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * `failed` is called when it cannot be written.
   *
   * @throws {Failure} when what is there is no mark of this room.
   */
  constructor(path: string, place: Place, failed: (failure: Failure) => void) {
    this.#path = path;
    this.#place = place;
    this.#failed = failed;
    this.#position = this.#read();
  }

  get position(): Position | undefined {
    return this.#position;
  }

  /** Written a few times a second. */
  move(position: Position): void {
    this.#position = position;
    this.#timer ??= setTimeout(() => this.flush(), SAVE_MS);
  }

  flush(): void {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      writePrivate(this.#path, `${JSON.stringify({ ...this.#place, ...this.#position })}\n`, { durable: true });
    } catch (error) {
      this.#failed(new Failure(`the mark cannot be written: ${(error as Error).message}`, 1, { cause: error }));
    }
  }

  #read(): Position | undefined {
    const text = this.#text();
    if (text === undefined) return undefined;
    const { server, room, epoch, seq, id } = parsed(text) as Partial<Place & Position>;
    const isMark = typeof epoch === 'string' && Number.isSafeInteger(seq) && typeof id === 'string';
    if (!isMark) throw new Failure(`${this.#path} is no mark; remove it to begin anew`);
    if (server !== this.#place.server || room !== this.#place.room)
      throw new Failure(`${this.#path} is the mark of another room: ${String(room)} on ${String(server)}`);
    return { epoch, seq: Number(seq), id };
  }

  #text(): string | undefined {
    try {
      // What is no file, such as a device, must not be replaced by one.
      if (!statSync(this.#path).isFile()) throw new Error(`${this.#path} is no file`);
      return readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw new Failure(`the mark cannot be read: ${(error as Error).message}`, 1, { cause: error });
    }
  }
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
