// A cursor file: the position up to which the output of a command was consumed.
import { readFileSync, statSync } from 'node:fs';
import type { Position } from '@engawa/client';
import { CliError } from '../command-line/cli-error.ts';
import { errorCode, writePrivateFile } from '../profile/private-files.ts';

const SAVE_DELAY_MS = 250;

/** The room that a cursor belongs to. */
interface CursorScope {
  server: string;
  room: string;
}

export class CursorFile {
  readonly #path: string;
  readonly #scope: CursorScope;
  readonly #onFailure: (failure: CliError) => void;
  #position: Position | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * `onFailure` is called when the file cannot be written.
   *
   * @throws {CliError} when the file is not a cursor of this room.
   */
  constructor(path: string, scope: CursorScope, onFailure: (failure: CliError) => void) {
    this.#path = path;
    this.#scope = scope;
    this.#onFailure = onFailure;
    this.#position = this.#read();
  }

  get position(): Position | undefined {
    return this.#position;
  }

  /** Writes are delayed and merged: a few a second. */
  advance(position: Position): void {
    this.#position = position;
    this.#timer ??= setTimeout(() => this.flush(), SAVE_DELAY_MS);
  }

  flush(): void {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      writePrivateFile(this.#path, `${JSON.stringify({ ...this.#scope, ...this.#position })}\n`, { durable: true });
    } catch (error) {
      this.#onFailure(new CliError(`the mark cannot be written: ${(error as Error).message}`, 1, { cause: error }));
    }
  }

  #read(): Position | undefined {
    const text = this.#readText();
    if (text === undefined) return undefined;
    const { server, room, epoch, seq, id } = parseObject(text) as Partial<CursorScope & Position>;
    const isValid = typeof epoch === 'string' && Number.isSafeInteger(seq) && typeof id === 'string';
    if (!isValid) throw new CliError(`${this.#path} is no mark; remove it to begin anew`);
    if (server !== this.#scope.server || room !== this.#scope.room)
      throw new CliError(`${this.#path} is the mark of another room: ${String(room)} on ${String(server)}`);
    return { epoch, seq: Number(seq), id };
  }

  #readText(): string | undefined {
    try {
      // Never replace a device or a pipe by a file.
      if (!statSync(this.#path).isFile()) throw new Error(`${this.#path} is no file`);
      return readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw new CliError(`the mark cannot be read: ${(error as Error).message}`, 1, { cause: error });
    }
  }
}

function parseObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
