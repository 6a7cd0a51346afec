import type { Ask, Notice, WireError } from '@engawa/protocol';
import type { Position } from '@engawa/protocol/position';
import { CatchUp } from './catch-up.ts';
import { type ClientState, Connection } from './connection.ts';
import type { ConnectionError } from './connection-error.ts';
import { Emitter } from './emitter.ts';
import { asEntry } from './entry.ts';
import type { Ending } from './follower.ts';
import { isSession, newClientId, newSession, platformRandom, type Random } from './ids.ts';
import { readPosition } from './keeper.ts';
import type { LinkFactory, LinkOptions } from './link.ts';
import { OpenRoom } from './open-room.ts';
import { JoinError, type Result, refused } from './result.ts';
import type { Room } from './room.ts';
import { socketLink } from './socket-link.ts';
import { type ClientStorage, Shelf } from './storage.ts';
import { watch } from './wake.ts';

export interface ClientOptions extends LinkOptions {
  /** Where session, positions and unsent chats outlive the page: `localStorage`, or anything like it. Nothing is kept without. */
  storage?: ClientStorage;
  /** Chats that a timeline holds at most; 5,000 when not given. */
  maxChats?: number;
  /** Makes so many random bytes that nobody can guess, where there is no `crypto.getRandomValues`. */
  random?: Random;
  /** Another connection than Socket.IO's, for tests. */
  link?: LinkFactory;
}

export interface JoinOptions {
  /** The name to have in the room. */
  username: string;
  /** Whether to open the room when there is none. */
  create?: boolean;
  /** What the room is about, if this opens it. */
  topic?: string;
  /**
   * Where to begin. `stored`, the default: where this client was, as far as its storage knows, so that entries that were
   * missed are told; else, and for `newest`, at the newest. Or a position that the application kept itself.
   */
  from?: 'stored' | 'newest' | Position;
}

/** Which rooms are asked for: those after an id, and how many at most. */
export type RoomRange = Ask<'list:rooms'>;

/** What a client tells, and with what. */
export interface ClientEvents {
  state: ClientState;
  /** `state` or `rooms` is another than before. */
  change: undefined;
  /**
   * Why there is no connection yet, after every try; what was refused to the connection itself, or to a room that is being joined
   * or caught up. What is retryable is tried again; after any other error of a connection the client is closed. And, once, a
   * storage that fails: then with the code `storage_failed`.
   */
  error: (WireError & { roomId?: string; address?: undefined }) | (ConnectionError & { roomId?: undefined });
}

/** A room that was joined, by how many who have not closed it. */
interface Joining {
  username: string;
  room: Promise<Room>;
  holders: number;
}

const MAX_CHATS = 5_000;
const SUCCESS = ':success';

/** One person's connection to a server, with the rooms that he is in. */
export class Client {
  readonly #options: ClientOptions;
  readonly #random: Random;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #connection: Connection;
  readonly #catchUp: CatchUp;
  readonly #shelf: Shelf;
  readonly #open = new Map<string, OpenRoom>();
  readonly #joining = new Map<string, Joining>();
  #rooms: readonly Room[] | undefined;
  #unwatch: (() => void) | undefined;
  #connecting: Promise<void> | undefined;

  /** @internal */
  constructor(url: string, options: ClientOptions) {
    const random = options.random ?? platformRandom();
    if (!random) throw new JoinError(refused('no_random', 'There is no `crypto`: pass `random`.'));
    this.#options = options;
    this.#random = random;
    this.#shelf = new Shelf(options.storage, `engawa:${url}:`, (cause) => {
      const message = `The storage failed: ${String(cause)}`;
      // It may fail before anybody could listen.
      queueMicrotask(() => this.#emitter.emit('error', { code: 'storage_failed', message, retryable: true }));
    });
    const { link = socketLink } = options;
    this.#connection = new Connection((listeners) => link(url, listeners, options), {
      state: (state) => this.#stateChanged(state),
      error: (error) => {
        // Another one is made the next time.
        if (error.code === 'invalid_session') void this.#shelf.write('session');
        this.#emitter.emit('error', error);
      },
      heard: (event, payload) => this.#heard(event, payload),
    });
    this.#catchUp = new CatchUp(this.#connection, (error) => this.#emitter.emit('error', error));
  }

  get state(): ClientState {
    return this.#connection.state;
  }

  /** The rooms that were joined and have not ended. */
  get rooms(): readonly Room[] {
    this.#rooms ??= [...this.#open.values()].map(({ room }) => room);
    return this.#rooms;
  }

  /** Calls the listener when `state` or `rooms` is another; for `useSyncExternalStore` and its like. */
  readonly subscribe = (listener: () => void): (() => void) => this.on('change', listener);

  /** Returns what ends the listening. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (payload: ClientEvents[Name]) => void): () => void {
    void this.#start();
    return this.#emitter.on(name, listener);
  }

  /**
   * Joins a room, and resolves when its newest chats are there; waits for the connection as long as it takes. A room
   * that was joined already is the same one. Listeners that are added as soon as it resolves are told every entry after
   * the position where it begins.
   *
   * @throws {JoinError} with the code of the refusal: `name_taken`, `name_confusable`, `room_not_found`, `room_confusable`,
   * `too_many_rooms`, `too_many_names`, `quota_exceeded`, `invalid_payload`, `removed`, `closed`.
   */
  async join(roomId: string, options: JoinOptions): Promise<Room> {
    // As the server compares and says them.
    const id = roomId.normalize();
    const username = options.username.normalize();
    const before = this.#joining.get(id);
    if (before && before.username !== username) throw new JoinError(refused('name_taken', 'You have another name.'));
    const joining = before ?? { username, room: this.#join(id, { ...options, username }), holders: 0 };
    joining.holders += 1;
    this.#joining.set(id, joining);
    return joining.room;
  }

  /** Asks now whether anything was missed, and connects anew when there is no answer; without a connection it is tried now. */
  sync(): void {
    void this.#start();
    this.#connection.hasten();
    if (!this.#connection.isUp) return;
    this.#each(({ follower }) => follower.sync());
    void this.#catchUp.probe();
  }

  /** A page of the rooms of the server, in the order of their ids; waits for the connection as long as it takes. */
  listRooms(range: RoomRange = {}): Promise<Result<'list:rooms'>> {
    void this.#start();
    return this.#connection.insist('list:rooms', range);
  }

  /**
   * Ends the connection for good, at once. What was not sent is kept in the storage, and sent after the next `join`.
   * Resolves when the storage has written all; never rejects.
   */
  async close(): Promise<void> {
    this.#connection.close();
    await this.#connecting;
    await this.#shelf.settled();
  }

  async #join(roomId: string, options: JoinOptions): Promise<Room> {
    await this.#start();
    const { username, create = false, topic, from = 'stored' } = options;
    const stored = await readPosition(this.#shelf, roomId, username);
    const opened = new OpenRoom({
      connection: this.#connection,
      catchUp: this.#catchUp,
      shelf: this.#shelf,
      maxChats: this.#options.maxChats ?? MAX_CHATS,
      roomId,
      username,
      create,
      topic,
      from: from === 'stored' ? stored : from === 'newest' ? undefined : from,
      newId: () => newClientId(this.#random),
      delayed: (error) => this.#emitter.emit('error', { ...error, roomId }),
      ended: () => {
        this.#open.delete(roomId);
        this.#joining.delete(roomId);
        this.#roomsChanged();
      },
      letGo: () => {
        const joining = this.#joining.get(roomId);
        if (joining) joining.holders -= 1;
        return !joining?.holders;
      },
    });
    await opened.load();
    this.#open.set(roomId, opened);
    this.#roomsChanged();
    if (this.state === 'closed') opened.follower.end(this.#closing);
    else if (this.#connection.isUp) opened.follower.up();
    await opened.ready;
    return opened.room;
  }

  /** There is no connection and no timer before somebody wants to know or do something: not on a server that renders a page. */
  #start(): Promise<void> | undefined {
    if (this.#connecting || this.state === 'closed') return this.#connecting;
    this.#unwatch = watch({
      woke: () => this.sync(),
      leaving: () => this.#each(({ keeper }) => keeper.flush()),
      stored: () => this.#connection.hangUp(),
    });
    const session = this.#shelf.make('session', isSession, newSession(this.#random));
    this.#connecting = session.then((each) => this.#connection.open(each));
    return this.#connecting;
  }

  #roomsChanged(): void {
    this.#rooms = undefined;
    this.#emitter.emit('change', undefined);
  }

  #heard(event: string, payload: unknown): void {
    const roomId = (payload as { roomId?: unknown } | null | undefined)?.roomId;
    const open = typeof roomId === 'string' ? this.#open.get(roomId) : undefined;
    if (!open) return;
    if (event === 'reset:room') open.follower.resetTo(payload as Notice<'reset:room'>);
    if (event === 'update:members') open.counted(payload as Notice<'update:members'>);
    if (event === 'update:typing') open.typing(payload as Notice<'update:typing'>);
    if (!event.endsWith(SUCCESS)) return;
    const entry = asEntry(event.slice(0, -SUCCESS.length), payload);
    if (entry) open.follower.heard(entry);
    else open.signalled(event, payload);
  }

  #stateChanged(state: ClientState): void {
    if (state === 'closed') {
      this.#unwatch?.();
      this.#each(({ follower }) => follower.end(this.#closing));
    }
    if (state !== 'online') this.#catchUp.clear();
    this.#emitter.emit('state', state);
    this.#emitter.emit('change', undefined);
    this.#each(({ follower }) => (state === 'online' ? follower.up() : follower.down()));
  }

  /** Why its rooms are over. */
  get #closing(): Ending {
    const { refusal: error } = this.#connection;
    return { reason: 'closed', ...(error && { error }) };
  }

  #each(step: (open: OpenRoom) => void): void {
    for (const open of this.#open.values()) step(open);
  }
}
