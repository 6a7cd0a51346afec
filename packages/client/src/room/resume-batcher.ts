/** The resume batcher: asks in shared requests for the entries that rooms have missed. */
import type { ErrorPayload, RequestInput, ResumeResult } from '@engawa/protocol';
import { MAX_FRAME_BYTES, MAX_ROOMS_PER_RESUME } from '@engawa/protocol/bounds';
import type { Position } from '@engawa/protocol/position';
import { jsonByteLength } from '../connection/byte-size.ts';
import type { Connection } from '../connection/connection.ts';
import type { FailedResult } from '../connection/result.ts';
import { retry } from '../connection/retry.ts';

const RESUME_TIMEOUT_MS = 20_000;
const PROBE_TIMEOUT_MS = 5_000;

/** A room that can miss entries. */
export interface ResumableRoom {
  readonly roomId: string;
  readonly username: string;
  /** The position that it has received. */
  readonly heldPosition: Position | undefined;
  onResumeResult(outcome: ResumeResult): void;
  /** Adds the room to the batcher again, unless the room has ended. */
  requestResume(): void;
}

/** A room, and what is requested for it: nothing if it has no position yet. */
interface PendingResume {
  room: ResumableRoom;
  requestRooms: RequestInput<'resume:rooms'>['rooms'];
}

/** Sends one request at a time, for all rooms that miss entries, until no room does. */
export class ResumeBatcher {
  readonly #connection: Connection;
  readonly #onError: (error: ErrorPayload) => void;
  readonly #pendingRooms = new Set<ResumableRoom>();
  #isRunning = false;
  #isRequesting = false;
  #timeoutMs = RESUME_TIMEOUT_MS;

  constructor(connection: Connection, onError: (error: ErrorPayload) => void) {
    this.#connection = connection;
    this.#onError = onError;
  }

  add(room: ResumableRoom): void {
    this.#pendingRooms.add(room);
    if (!this.#isRunning) void this.#run();
  }

  /** For a lost connection: each room is added again on the next one. */
  clear(): void {
    this.#pendingRooms.clear();
  }

  /** Checks whether the connection is still alive, with a shorter time-out than usual. */
  async probe(): Promise<void> {
    this.#timeoutMs = PROBE_TIMEOUT_MS;
    if (this.#pendingRooms.size > 0 && !this.#isRequesting) return;
    const { generation } = this.#connection;
    const answer = await this.#connection.request('list:rooms', { limit: 1 }, PROBE_TIMEOUT_MS);
    if (!answer && generation === this.#connection.generation) this.#connection.reconnect();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Rooms that are added in the same tick share a request.
    await Promise.resolve();
    const isOver = () => this.#pendingRooms.size === 0 || !this.#connection.isUp;
    // A refusal is never final: the rooms still miss entries.
    const isFinal = () => false;
    while (!isOver()) await retry(this.#connection.timers, () => this.#requestBatch(), isOver, isFinal);
    this.#isRunning = false;
  }

  /** Undefined if no room got anything. */
  async #requestBatch(): Promise<{ ok: true } | FailedResult | undefined> {
    const batch = this.#takeBatch();
    const rooms = [...batch.values()].flatMap(({ requestRooms }) => requestRooms);
    if (rooms.length === 0) return { ok: true };
    const { generation } = this.#connection;
    this.#isRequesting = true;
    const timeoutMs = this.#timeoutMs;
    this.#timeoutMs = RESUME_TIMEOUT_MS;
    const answer = await this.#connection.request('resume:rooms', { rooms }, timeoutMs);
    this.#isRequesting = false;
    if (generation !== this.#connection.generation) return { ok: true };
    if (answer?.ok) return this.#deliverResults(batch, answer.rooms) ? { ok: true } : undefined;
    if (answer) {
      if (!answer.error.retryable) this.#onError(answer.error);
      for (const { room } of batch.values()) room.requestResume();
    } else this.#connection.reconnect();
    return answer;
  }

  /** As many rooms as fit into one request, by count and by bytes. */
  #takeBatch(): Map<string, PendingResume> {
    const batch = new Map<string, PendingResume>();
    let bytes = 0;
    for (const room of this.#pendingRooms) {
      // A room that was closed and joined again may be pending twice; the request names it once.
      if (batch.has(room.roomId)) continue;
      const { roomId, username } = room;
      const requestRooms = room.heldPosition ? [{ roomId, username, ...room.heldPosition }] : [];
      bytes += jsonByteLength(requestRooms);
      if (batch.size === MAX_ROOMS_PER_RESUME || (batch.size > 0 && bytes > MAX_FRAME_BYTES / 2)) break;
      batch.set(roomId, { room, requestRooms });
      this.#pendingRooms.delete(room);
    }
    return batch;
  }

  /** A room that did not fit into the answer is requested again. Returns false if no room fitted. */
  #deliverResults(batch: Map<string, PendingResume>, results: ResumeResult[]): boolean {
    let hasDelivered = false;
    for (const result of results) {
      const pending = batch.get(result.roomId);
      if (!pending) continue;
      if (isDeferred(result, pending)) pending.room.requestResume();
      else {
        hasDelivered = true;
        pending.room.onResumeResult(result);
      }
    }
    return hasDelivered;
  }
}

/** The answer has no entries of the room, and does not say that the room is up to date. */
const isDeferred = (outcome: ResumeResult, { requestRooms: [held] }: PendingResume): boolean =>
  outcome.outcome === 'more' && outcome.entries.length === 0 && outcome.epoch === held?.epoch && outcome.seq === held.seq;
