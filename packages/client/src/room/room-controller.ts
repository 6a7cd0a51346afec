/** The room controller: connects the parts of one joined room, and emits its events. */
import type { Ack, EphemeralEventName, ErrorPayload, MissedEntry, Presence, RequestInput, ServerNotice } from '@engawa/protocol';
import { Emitter } from '../connection/emitter.ts';
import { JoinError } from '../connection/result.ts';
import { OutboxStore } from '../storage/outbox-store.ts';
import type { SafeStorage } from '../storage/storage.ts';
import { chatFromEntry } from '../timeline/chat-reducer.ts';
import { type Entry, isKind } from '../timeline/entry.ts';
import { Outbox } from './outbox.ts';
import { ReadMarks } from './read-marks.ts';
import { Room, type RoomEvents } from './room.ts';
import { RoomInfo } from './room-info.ts';
import { RoomPersistence } from './room-persistence.ts';
import { type RoomState, RoomSync, type RoomSyncOptions } from './room-sync.ts';
import { RoomTimeline } from './timeline.ts';
import { Typing } from './typing.ts';

interface RoomControllerOptions extends Omit<RoomSyncOptions, 'listeners'> {
  storage: SafeStorage;
  onRetryableError: (error: ErrorPayload) => void;
  onEnd: () => void;
  /** Called for each `close` of the room. Returns whether it was the last one. */
  releaseHandle: () => boolean;
}

/** One joined room: each part does one thing, and this class connects them. */
export class RoomController {
  readonly room: Room;
  readonly roomSync: RoomSync;
  readonly persistence: RoomPersistence;
  readonly #options: RoomControllerOptions;
  readonly #emitter = new Emitter<RoomEvents>();
  readonly #roomInfo = new RoomInfo();
  readonly #outboxStore: OutboxStore;
  readonly #outbox: Outbox;
  readonly #typing = new Typing({
    send: (event) => void this.#sendEphemeral(event, {}),
    onChange: (usernames) => {
      this.#emitter.emit('typing', usernames);
      this.#scheduleChange();
    },
  });
  readonly #readMarks = new ReadMarks({
    getUsername: () => this.roomSync.username,
    sendMark: (seq) => this.#sendEphemeral('mark:read', { seq }),
    sleep: (milliseconds) => this.#options.connection.timers.sleep(milliseconds),
    onChange: () => this.#scheduleChange(),
  });
  readonly #timeline: RoomTimeline;
  #resolveReady!: () => void;
  #rejectReady!: (error: JoinError) => void;
  /** Resolves when `join` may return the room; rejects if the room ends before. */
  readonly ready = new Promise<void>((resolve, reject) => {
    this.#resolveReady = resolve;
    this.#rejectReady = reject;
  });
  #presence: 'online' | 'away' = 'online';
  #isChangeScheduled = false;

  constructor(options: RoomControllerOptions) {
    this.#options = options;
    const { storage, roomId, username, from, connection, newId, onRetryableError } = options;
    this.roomSync = new RoomSync({
      ...options,
      listeners: {
        onJoin: (membership) => {
          this.#roomInfo.onJoin(membership);
          this.#readMarks.onServerCounts(membership);
          this.#scheduleChange();
        },
        onMemberCounts: (counts) => this.#roomInfo.onMemberCounts(counts),
        onReady: () => this.#resolveReady(),
        onEntry: (entry) => this.#onEntry(entry),
        onPosition: (position) => {
          this.#outbox.onPosition(position);
          this.#scheduleChange();
        },
        onReset: (reset, isLost) => {
          this.#roomInfo.reset();
          this.#readMarks.reset();
          this.#outbox.onReset(this.room.position, isLost);
          this.#emitter.emit('reset', reset);
        },
        onStateChange: (state) => this.#onStateChange(state),
        onRetryableError,
        onEnd: (ending) => this.#onEnd(ending),
      },
    });
    this.#outboxStore = new OutboxStore({
      storage,
      roomId,
      session: connection.session,
      instanceId: newId(),
      onUpdate: (note) => this.#outbox.onStoreUpdate(note),
      onTakeover: (left) => this.#outbox.addStored(left),
    });
    this.#outbox = new Outbox({
      store: this.#outboxStore,
      roomSync: this.roomSync,
      newId,
      onFailed: (request) => this.#emitter.emit('failed', request),
      onChange: () => this.#scheduleChange(),
    });
    this.persistence = new RoomPersistence(storage, roomId, () => ({ username, position: this.roomSync.position ?? from }));
    this.#timeline = new RoomTimeline(this.roomSync, this.#outbox, () => this.#scheduleChange());
    this.room = new Room({
      roomSync: this.roomSync,
      outbox: this.#outbox,
      roomInfo: this.#roomInfo,
      typing: this.#typing,
      readMarks: this.#readMarks,
      timeline: this.#timeline,
      emitter: this.#emitter,
      close: () => {
        if (options.releaseHandle()) this.roomSync.end({ reason: 'closed' });
      },
      setPresence: (presence) => {
        this.#presence = presence;
        void this.#sendEphemeral('update:presence', { presence });
      },
    });
  }

  /** Call it before any entry is delivered. */
  async load(): Promise<void> {
    this.#outbox.addStored(await this.#outboxStore.load());
  }

  onEphemeralEvent(event: string, payload: unknown): void {
    const { username, presence, online, read } = payload as { username?: unknown; presence?: Presence; online?: unknown; read?: unknown };
    if (typeof username !== 'string') return;
    if (event === 'start:typing:success' && username !== this.roomSync.username) this.#typing.onStart(username);
    if (event === 'stop:typing:success') this.#typing.remove(username);
    if (event === 'update:presence:success' && presence && typeof online === 'number') {
      this.#roomInfo.online = online;
      if (presence === 'offline') this.#typing.remove(username);
      this.#emitter.emit('presence', { username, presence, online });
      this.#scheduleChange();
    }
    if (event === 'mark:read:success' && typeof read === 'number' && this.#readMarks.onReadMark(username, read)) {
      this.#emitter.emit('read', { username, read });
      this.#scheduleChange();
    }
  }

  /** The member counts of a large room. */
  onMemberCounts(notice: ServerNotice<'members:changed'>): void {
    if (typeof notice.members !== 'number' || typeof notice.online !== 'number') return;
    this.#roomInfo.onMemberCounts(notice);
    const { members, online } = this.#roomInfo;
    this.#emitter.emit('members', { members, online, joined: notice.joined, left: notice.left });
    this.#scheduleChange();
  }

  typing({ usernames, hasMore }: ServerNotice<'typing:changed'>): void {
    if (!Array.isArray(usernames)) return;
    const others = usernames.filter((username) => username !== this.roomSync.username);
    this.#typing.onSummary(others, hasMore);
  }

  /** Ephemeral events are never sent late: only the latest state matters. */
  async #sendEphemeral<E extends EphemeralEventName>(
    event: E,
    fields: Omit<RequestInput<E>, 'roomId' | 'username'>,
  ): Promise<Ack<E> | undefined> {
    if (this.roomSync.state !== 'live') return undefined;
    const payload = { roomId: this.roomSync.roomId, username: this.roomSync.username, ...fields };
    return this.#options.connection.request(event, payload as unknown as RequestInput<E>);
  }

  #onEntry(entry: Entry): void {
    this.#roomInfo.onEntry(entry);
    this.#readMarks.onEntry(entry);
    this.#outbox.onEntry(entry);
    if (isKind(entry, 'create:chat') || isKind(entry, 'remove:member')) this.#typing.remove(entry.username);
    const chat = chatFromEntry(entry);
    this.#scheduleChange();
    this.#emitter.emit('entry', entry as unknown as MissedEntry);
    if (chat) this.#emitter.emit('chat', chat);
  }

  #onStateChange(state: RoomState): void {
    this.#emitter.emit('state', state);
    this.#scheduleChange();
    if (state !== 'live') return;
    void this.#readMarks.report();
    if (this.#presence === 'away') void this.#sendEphemeral('update:presence', { presence: 'away' });
  }

  #onEnd(ending: RoomEvents['ended']): void {
    const { reason } = ending;
    const { endedResult } = this.roomSync;
    this.#typing.close();
    // The user may join again under another name, and other tabs may still be in the room.
    const keepsPosition = reason === 'closed' || reason === 'refused';
    if (keepsPosition) this.persistence.close();
    this.#outbox.close(endedResult, reason === 'left');
    if (!keepsPosition) this.persistence.remove();
    this.#rejectReady(new JoinError(endedResult));
    this.#emitter.emit('ended', ending);
    this.#options.onEnd();
  }

  /** Emits one `change` for all changes of the same tick. */
  #scheduleChange(): void {
    this.#timeline.invalidate();
    this.persistence.scheduleSave();
    if (this.#isChangeScheduled) return;
    this.#isChangeScheduled = true;
    queueMicrotask(() => {
      this.#isChangeScheduled = false;
      this.#emitter.emit('change', undefined);
    });
  }
}
