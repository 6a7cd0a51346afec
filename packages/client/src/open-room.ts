import type { Answer, Ask, Missed, Notice, Presence, SignalName, WireError } from '@engawa/protocol';
import { chatOf } from './chat-changes.ts';
import { Emitter } from './emitter.ts';
import { type Entry, isKind } from './entry.ts';
import { Facts } from './facts.ts';
import { Follower, type FollowerOptions, type RoomState } from './follower.ts';
import { Keeper } from './keeper.ts';
import { Outbox } from './outbox.ts';
import { ReadMarks } from './read-marks.ts';
import { JoinError } from './result.ts';
import { Room, type RoomEvents } from './room.ts';
import { RoomTimeline } from './room-timeline.ts';
import type { Shelf } from './storage.ts';
import { Typing } from './typing.ts';
import { Unsent } from './unsent.ts';

interface Options extends Omit<FollowerOptions, 'listeners'> {
  shelf: Shelf;
  delayed: (error: WireError) => void;
  ended: () => void;
  /** Whoever joined the room closes it; whether nobody has it any more. */
  letGo: () => boolean;
}

/** A room, and the side of it that the client holds: each part does one thing, and this is where they meet. */
export class OpenRoom {
  readonly room: Room;
  readonly follower: Follower;
  readonly keeper: Keeper;
  readonly #options: Options;
  readonly #emitter = new Emitter<RoomEvents>();
  readonly #facts = new Facts();
  readonly #unsent: Unsent;
  readonly #outbox: Outbox;
  readonly #typing = new Typing({
    say: (event) => void this.#signal(event, {}),
    changed: (usernames) => {
      this.#emitter.emit('typing', usernames);
      this.#changed();
    },
  });
  readonly #marks = new ReadMarks({
    me: () => this.follower.username,
    say: (seq) => this.#signal('mark:read', { seq }),
    rest: (milliseconds) => this.#options.connection.sleeper.sleep(milliseconds),
    changed: () => this.#changed(),
  });
  readonly #timeline: RoomTimeline;
  #isReady: () => void = () => undefined;
  #isRefused: (error: JoinError) => void = () => undefined;
  /** Resolves when the room may be handed out, rejects when it has ended before. */
  readonly ready = new Promise<void>((resolve, reject) => {
    this.#isReady = resolve;
    this.#isRefused = reject;
  });
  #presence: 'online' | 'away' = 'online';
  #isChanging = false;

  constructor(options: Options) {
    this.#options = options;
    const { shelf, roomId, username, from, connection, newId, delayed } = options;
    this.follower = new Follower({
      ...options,
      listeners: {
        joined: (membership) => {
          this.#facts.joined(membership);
          this.#marks.known(membership);
          this.#changed();
        },
        counted: (counts) => this.#facts.counted(counts),
        ready: () => this.#isReady(),
        told: (entry) => this.#told(entry),
        moved: (position) => {
          this.#outbox.reached(position);
          this.#changed();
        },
        reset: (reset, isLost) => {
          this.#facts.reset();
          this.#marks.reset();
          this.#outbox.restarted(this.room.position, isLost);
          this.#emitter.emit('reset', reset);
        },
        state: (state) => this.#stateChanged(state),
        delayed,
        ended: (ending) => this.#ended(ending),
      },
    });
    this.#unsent = new Unsent({
      shelf,
      roomId,
      session: connection.session,
      life: newId(),
      heard: (note) => this.#outbox.heard(note),
      inherited: (left) => this.#outbox.found(left),
    });
    this.#outbox = new Outbox({
      unsent: this.#unsent,
      follower: this.follower,
      newId,
      failed: (request) => this.#emitter.emit('failed', request),
      changed: () => this.#changed(),
    });
    this.keeper = new Keeper(shelf, roomId, () => ({ username, position: this.follower.position ?? from }));
    this.#timeline = new RoomTimeline(this.follower, this.#outbox, () => this.#changed());
    this.room = new Room({
      follower: this.follower,
      outbox: this.#outbox,
      facts: this.#facts,
      typing: this.#typing,
      marks: this.#marks,
      timeline: this.#timeline,
      emitter: this.#emitter,
      close: () => {
        if (options.letGo()) this.follower.end({ reason: 'closed' });
      },
      present: (presence) => {
        this.#presence = presence;
        void this.#signal('update:presence', { presence });
      },
    });
  }

  /** To be done before anything is told. */
  async load(): Promise<void> {
    this.#outbox.found(await this.#unsent.load());
  }

  signalled(event: string, signal: unknown): void {
    const { username, presence, online, read } = signal as { username?: unknown; presence?: Presence; online?: unknown; read?: unknown };
    if (typeof username !== 'string') return;
    if (event === 'start:typing:success' && username !== this.follower.username) this.#typing.heard(username);
    if (event === 'stop:typing:success') this.#typing.forget(username);
    if (event === 'update:presence:success' && presence && typeof online === 'number') {
      this.#facts.online = online;
      if (presence === 'gone') this.#typing.forget(username);
      this.#emitter.emit('presence', { username, presence, online });
      this.#changed();
    }
    if (event === 'mark:read:success' && typeof read === 'number' && this.#marks.heard(username, read)) {
      this.#emitter.emit('read', { username, read });
      this.#changed();
    }
  }

  /** What a large room says of all who are there. */
  counted(notice: Notice<'update:members'>): void {
    if (typeof notice.members !== 'number' || typeof notice.online !== 'number') return;
    this.#facts.counted(notice);
    const { members, online } = this.#facts;
    this.#emitter.emit('members', { members, online, joined: notice.joined, left: notice.left });
    this.#changed();
  }

  typing({ usernames, several }: Notice<'update:typing'>): void {
    if (!Array.isArray(usernames)) return;
    const others = usernames.filter((username) => username !== this.follower.username);
    this.#typing.told(others, several);
  }

  /** Only the latest signal counts: one that cannot be said now is not said later. */
  async #signal<E extends SignalName>(event: E, fields: Omit<Ask<E>, 'roomId' | 'username'>): Promise<Answer<E> | undefined> {
    if (this.follower.state !== 'live') return undefined;
    const payload = { roomId: this.follower.roomId, username: this.follower.username, ...fields };
    return this.#options.connection.ask(event, payload as unknown as Ask<E>);
  }

  #told(entry: Entry): void {
    this.#facts.told(entry);
    this.#marks.told(entry);
    this.#outbox.told(entry);
    if (isKind(entry, 'create:chat') || isKind(entry, 'remove:member')) this.#typing.forget(entry.username);
    const chat = chatOf(entry);
    this.#changed();
    this.#emitter.emit('entry', entry as unknown as Missed);
    if (chat) this.#emitter.emit('chat', chat);
  }

  #stateChanged(state: RoomState): void {
    this.#emitter.emit('state', state);
    this.#changed();
    if (state !== 'live') return;
    void this.#marks.tell();
    if (this.#presence === 'away') void this.#signal('update:presence', { presence: 'away' });
  }

  #ended(ending: RoomEvents['ended']): void {
    const { reason } = ending;
    const { refusal } = this.follower;
    this.#typing.close();
    // Whoever is refused now may come back under another name, or to what another page is in.
    const isKept = reason === 'closed' || reason === 'refused';
    if (isKept) this.keeper.close();
    this.#outbox.close(refusal, reason === 'left');
    if (!isKept) this.keeper.forget();
    this.#isRefused(new JoinError(refusal));
    this.#emitter.emit('ended', ending);
    this.#options.ended();
  }

  /** Told once for all that changes in one go. */
  #changed(): void {
    this.#timeline.refresh();
    this.keeper.touch();
    if (this.#isChanging) return;
    this.#isChanging = true;
    queueMicrotask(() => {
      this.#isChanging = false;
      this.#emitter.emit('change', undefined);
    });
  }
}
