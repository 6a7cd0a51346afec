/** The client: one user's connection to a server, with the rooms they have joined. */
import type { ErrorPayload, RequestInput, ServerNotice } from '@engawa/protocol';
import type { Position } from '@engawa/protocol/position';
import { type ClientState, Connection } from './connection/connection.ts';
import type { ConnectionError } from './connection/connection-error.ts';
import { Emitter } from './connection/emitter.ts';
import { isSession, newClientId, newSession, platformRandom, type RandomBytes } from './connection/ids.ts';
import { failedResult, JoinError, type Result } from './connection/result.ts';
import { createSocketIoTransport } from './connection/socketio-transport.ts';
import type { TransportFactory, TransportOptions } from './connection/transport.ts';
import { detectWake } from './connection/wake-detector.ts';
import { ResumeBatcher } from './room/resume-batcher.ts';
import type { Room } from './room/room.ts';
import { RoomController } from './room/room-controller.ts';
import { readPosition } from './room/room-persistence.ts';
import type { RoomEnding } from './room/room-sync.ts';
import { type ClientStorage, SafeStorage } from './storage/storage.ts';
import { parseEntry } from './timeline/entry.ts';

export interface ClientOptions extends TransportOptions {
  /**
   * Where the session, positions and unsent chats are stored: `localStorage`, or any storage with the same methods. Without it
   * nothing outlives the page.
   */
  storage?: ClientStorage;
  /** The largest number of chats in a timeline; 5,000 by default. */
  maxChats?: number;
  /** Returns this many cryptographically secure random bytes. Required where there is no `crypto.getRandomValues`. */
  random?: RandomBytes;
  /** Replaces the transport over Socket.IO, for tests. */
  createTransport?: TransportFactory;
}

export interface JoinOptions {
  /** The member's name in the room. */
  username: string;
  /** Whether to create the room if it does not exist. */
  create?: boolean;
  /** The topic, if this creates the room. */
  topic?: string;
  /**
   * The position after which entries are delivered. `stored`, the default: the position in this client's storage, so that missed
   * entries are delivered; without one, the newest. `newest`: only entries after the join. Or a position that the application
   * stored itself.
   */
  from?: 'stored' | 'newest' | Position;
}

/** A range of rooms: those after an id, and the largest number to return. */
export type RoomRange = RequestInput<'list:rooms'>;

/** The events of a client, with their payloads. */
export interface ClientEvents {
  state: ClientState;
  /** `state` or `rooms` has changed. */
  change: undefined;
  /**
   * One of: why a connection attempt failed, after each attempt; why the server rejected the connection, a join or a resume;
   * once, that the storage failed, with the code `storage_failed`. The client retries after a retryable error. After any other
   * error of the connection it is closed.
   */
  error: (ErrorPayload & { roomId?: string; address?: undefined }) | (ConnectionError & { roomId?: undefined });
}

/** A joined room. `refCount`: the calls of `join` that no `close` has followed yet. */
interface RoomHandle {
  username: string;
  room: Promise<Room>;
  refCount: number;
}

const DEFAULT_MAX_CHATS = 5_000;
const SUCCESS_SUFFIX = ':success';

/** One user's connection to a server, with the rooms they have joined. */
export class Client {
  readonly #options: ClientOptions;
  readonly #random: RandomBytes;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #connection: Connection;
  readonly #resumeBatcher: ResumeBatcher;
  readonly #storage: SafeStorage;
  readonly #controllers = new Map<string, RoomController>();
  readonly #handles = new Map<string, RoomHandle>();
  #cachedRooms: readonly Room[] | undefined;
  #stopWakeDetector: (() => void) | undefined;
  #connecting: Promise<void> | undefined;

  /** @internal */
  constructor(url: string, options: ClientOptions) {
    const random = options.random ?? platformRandom();
    if (!random) throw new JoinError(failedResult('no_random', 'There is no `crypto`: pass `random`.'));
    this.#options = options;
    this.#random = random;
    this.#storage = new SafeStorage(options.storage, `engawa:${url}:`, (cause) => {
      const message = `The storage failed: ${String(cause)}`;
      // It may fail before the application can add a listener.
      queueMicrotask(() => this.#emitter.emit('error', { code: 'storage_failed', message, retryable: true }));
    });
    const { createTransport = createSocketIoTransport } = options;
    this.#connection = new Connection((listeners) => createTransport(url, listeners, options), {
      onStateChange: (state) => this.#onStateChange(state),
      onError: (error) => {
        // The next client creates a new session.
        if (error.code === 'invalid_session') void this.#storage.write('session');
        this.#emitter.emit('error', error);
      },
      onEvent: (event, payload) => this.#onEvent(event, payload),
    });
    this.#resumeBatcher = new ResumeBatcher(this.#connection, (error) => this.#emitter.emit('error', error));
  }

  get state(): ClientState {
    return this.#connection.state;
  }

  /** The rooms that were joined and have not ended. */
  get rooms(): readonly Room[] {
    this.#cachedRooms ??= [...this.#controllers.values()].map(({ room }) => room);
    return this.#cachedRooms;
  }

  /** Calls the listener after each change of `state` or `rooms`; for `useSyncExternalStore` and similar APIs. */
  readonly subscribe = (listener: () => void): (() => void) => this.on('change', listener);

  /** Returns a function that removes the listener. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (payload: ClientEvents[Name]) => void): () => void {
    void this.#start();
    return this.#emitter.on(name, listener);
  }

  /**
   * Joins a room. Resolves when its newest chats are loaded; waits for the connection without a time limit. A room that is
   * already joined is returned again. Listeners that are added as soon as it resolves receive every entry after the position
   * where it starts.
   *
   * @throws {JoinError} with the code of the error: `name_taken`, `name_confusable`, `room_not_found`, `room_confusable`,
   * `too_many_rooms`, `too_many_names`, `quota_exceeded`, `invalid_payload`, `removed`, `closed`.
   */
  async join(roomId: string, options: JoinOptions): Promise<Room> {
    // The server compares and returns names in NFC.
    const id = roomId.normalize();
    const username = options.username.normalize();
    const existing = this.#handles.get(id);
    if (existing && existing.username !== username) throw new JoinError(failedResult('name_taken', 'You have another name.'));
    const handle = existing ?? { username, room: this.#join(id, { ...options, username }), refCount: 0 };
    handle.refCount += 1;
    this.#handles.set(id, handle);
    return handle.room;
  }

  /**
   * Checks now whether entries were missed, and reconnects if there is no answer. Without a connection, it tries to connect now.
   */
  sync(): void {
    void this.#start();
    this.#connection.reconnectNow();
    if (!this.#connection.isUp) return;
    this.#forEachRoom(({ roomSync }) => roomSync.requestResume());
    void this.#resumeBatcher.probe();
  }

  /** A page of the server's rooms, ordered by id. Waits for the connection without a time limit. */
  listRooms(range: RoomRange = {}): Promise<Result<'list:rooms'>> {
    void this.#start();
    return this.#connection.requestUntilAnswered('list:rooms', range);
  }

  /**
   * Closes the connection for good, at once. Unsent chats stay in the storage, and are sent after the next `join`. Resolves when
   * the storage has finished its writes; never rejects.
   */
  async close(): Promise<void> {
    this.#connection.close();
    await this.#connecting;
    await this.#storage.drain();
  }

  async #join(roomId: string, options: JoinOptions): Promise<Room> {
    await this.#start();
    const { username, create = false, topic, from = 'stored' } = options;
    const storedPosition = await readPosition(this.#storage, roomId, username);
    const controller = new RoomController({
      connection: this.#connection,
      resumeBatcher: this.#resumeBatcher,
      storage: this.#storage,
      maxChats: this.#options.maxChats ?? DEFAULT_MAX_CHATS,
      roomId,
      username,
      create,
      topic,
      from: from === 'stored' ? storedPosition : from === 'newest' ? undefined : from,
      newId: () => newClientId(this.#random),
      onRetryableError: (error) => this.#emitter.emit('error', { ...error, roomId }),
      onEnd: () => {
        this.#controllers.delete(roomId);
        this.#handles.delete(roomId);
        this.#onRoomsChange();
      },
      releaseHandle: () => {
        const handle = this.#handles.get(roomId);
        if (handle) handle.refCount -= 1;
        return !handle?.refCount;
      },
    });
    await controller.load();
    this.#controllers.set(roomId, controller);
    this.#onRoomsChange();
    if (this.state === 'closed') controller.roomSync.end(this.#roomEnding);
    else if (this.#connection.isUp) controller.roomSync.onConnect();
    await controller.ready;
    return controller.room;
  }

  /** No connection and no timer before the first call or listener: a client costs nothing on a server that renders a page. */
  #start(): Promise<void> | undefined {
    if (this.#connecting || this.state === 'closed') return this.#connecting;
    this.#stopWakeDetector = detectWake({
      onWake: () => this.sync(),
      onHide: () => this.#forEachRoom(({ persistence }) => persistence.flush()),
      onFreeze: () => this.#connection.suspend(),
    });
    const session = this.#storage.getOrCreate('session', isSession, newSession(this.#random));
    this.#connecting = session.then((id) => this.#connection.open(id));
    return this.#connecting;
  }

  #onRoomsChange(): void {
    this.#cachedRooms = undefined;
    this.#emitter.emit('change', undefined);
  }

  #onEvent(event: string, payload: unknown): void {
    const roomId = (payload as { roomId?: unknown } | null | undefined)?.roomId;
    const controller = typeof roomId === 'string' ? this.#controllers.get(roomId) : undefined;
    if (!controller) return;
    if (event === 'reset:room') controller.roomSync.onResetNotice(payload as ServerNotice<'reset:room'>);
    if (event === 'members:changed') controller.onMemberCounts(payload as ServerNotice<'members:changed'>);
    if (event === 'typing:changed') controller.typing(payload as ServerNotice<'typing:changed'>);
    if (!event.endsWith(SUCCESS_SUFFIX)) return;
    const entry = parseEntry(event.slice(0, -SUCCESS_SUFFIX.length), payload);
    if (entry) controller.roomSync.receive(entry);
    else controller.onEphemeralEvent(event, payload);
  }

  #onStateChange(state: ClientState): void {
    if (state === 'closed') {
      this.#stopWakeDetector?.();
      this.#forEachRoom(({ roomSync }) => roomSync.end(this.#roomEnding));
    }
    if (state !== 'online') this.#resumeBatcher.clear();
    this.#emitter.emit('state', state);
    this.#emitter.emit('change', undefined);
    this.#forEachRoom(({ roomSync }) => (state === 'online' ? roomSync.onConnect() : roomSync.onDisconnect()));
  }

  /** Why the rooms of a closed client have ended. */
  get #roomEnding(): RoomEnding {
    const { closeError: error } = this.#connection;
    return { reason: 'closed', ...(error && { error }) };
  }

  #forEachRoom(action: (controller: RoomController) => void): void {
    for (const controller of this.#controllers.values()) action(controller);
  }
}
