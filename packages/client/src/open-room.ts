import type { Answer, Ask, Missed, Notice, Presence, SignalName, WireError } from '@engawa/protocol';
import type { Position } from '@engawa/protocol/position';
import { chatOf } from './chat-changes.ts';
import { Emitter } from './emitter.ts';
import { type Entry, isKind } from './entry.ts';
import { Facts } from './facts.ts';
import { Follower, type FollowerOptions, type RoomState } from './follower.ts';
import { Keeper } from './keeper.ts';
import { Outbox } from './outbox.ts';
import { ReadMarks } from './read-marks.ts';
import { closed, JoinError } from './result.ts';
import { Room, type RoomEvents } from './room.ts';
import { RoomTimeline } from './room-timeline.ts';
import type { Shelf } from './storage.ts';
import { Typing } from './typing.ts';
import { type OutgoingEvent, Unsent } from './unsent.ts';

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
  readonly #typing: Typing;
  readonly #marks: ReadMarks;
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
    this.follower = this.#newFollower();
    this.#unsent = this.#newUnsent();
    this.#outbox = this.#newOutbox();
    this.#typing = this.#newTyping();
    this.#marks = this.#newMarks();
    const { shelf, roomId, username, from } = options;
    this.keeper = new Keeper(shelf, roomId, () => ({ username, position: this.follower.position ?? from }));
    this.#timeline = new RoomTimeline(this.follower, this.#outbox, () => this.#changed());
    this.room = this.#newRoom();
  }

  /** To be done before anything is told. */
  async load(): Promise<void> {
    for (const request of await this.#unsent.load()) this.#outbox.found(request);
  }

  signalled(event: string, signal: unknown): void {
    const { username, presence, online, read } = signal as { username?: unknown; presence?: Presence; online?: unknown; read?: unknown };
    if (typeof username !== 'string') return;
    const isOther = username !== this.follower.username;
    if (event === 'start:typing:success' && isOther) this.#typing.heard(username);
    if (event === 'stop:typing:success') this.#typing.forget(username);
    if (event === 'update:presence:success' && presence && typeof online === 'number') this.#present({ username, presence, online });
    if (event === 'mark:read:success' && typeof read === 'number') this.#read(username, read);
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

  #present(heard: RoomEvents['presence']): void {
    this.#facts.online = heard.online;
    if (heard.presence === 'gone') this.#typing.forget(heard.username);
    this.#emitter.emit('presence', heard);
    this.#changed();
  }

  #read(username: string, read: number): void {
    if (!this.#marks.heard(username, read)) return;
    this.#emitter.emit('read', { username, read });
    this.#changed();
  }

  #newFollower(): Follower {
    return new Follower({
      ...this.#options,
      listeners: {
        joined: (membership) => {
          this.#facts.joined(membership);
          this.#marks.known(membership);
          this.#changed();
        },
        counted: (counts) => this.#facts.counted(counts),
        ready: () => this.#isReady(),
        told: (entry) => this.#told(entry),
        moved: (position) => this.#moved(position),
        reset: (reset, isLost) => {
          this.#facts.reset();
          this.#marks.reset();
          this.#outbox.restarted(this.room.position, isLost);
          this.#emitter.emit('reset', reset);
        },
        state: (state) => this.#stateChanged(state),
        delayed: this.#options.delayed,
        ended: (ending) => this.#ended(ending),
      },
    });
  }

  #newUnsent(): Unsent {
    const { shelf, roomId, connection, newId } = this.#options;
    return new Unsent({
      shelf,
      roomId,
      session: connection.session,
      life: newId(),
      heard: (note) => this.#outbox.heard(note),
      inherited: () => this.#outbox.resume(),
    });
  }

  #newOutbox(): Outbox {
    const { roomId, newId } = this.#options;
    return new Outbox({
      unsent: this.#unsent,
      newId,
      username: () => this.follower.username,
      position: () => this.follower.position,
      chats: () => this.follower.timeline?.chats ?? [],
      strayed: () => this.follower.reload(),
      deliver: (event, ask) =>
        this.follower.insist(event, () => {
          const asked = ask();
          return 'error' in asked ? asked : ({ roomId, username: this.follower.username, ...asked } as Ask<OutgoingEvent>);
        }),
      failed: (request) => this.#emitter.emit('failed', request),
      changed: () => this.#changed(),
    });
  }

  #newTyping(): Typing {
    return new Typing({
      say: (event) => void this.#signal(event, {}),
      changed: (usernames) => {
        this.#emitter.emit('typing', usernames);
        this.#changed();
      },
    });
  }

  #newMarks(): ReadMarks {
    return new ReadMarks({
      me: () => this.follower.username,
      say: (seq) => this.#signal('mark:read', { seq }),
      rest: (milliseconds) => this.#options.connection.sleeper.sleep(milliseconds),
      changed: () => this.#changed(),
    });
  }

  #newRoom(): Room {
    return new Room({
      follower: this.follower,
      outbox: this.#outbox,
      facts: this.#facts,
      typing: this.#typing,
      marks: this.#marks,
      timeline: this.#timeline,
      emitter: this.#emitter,
      close: () => {
        if (this.#options.letGo()) this.follower.end({ reason: 'closed' });
      },
      present: (presence) => {
        this.#presence = presence;
        void this.#signal('update:presence', { presence });
      },
    });
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
    this.#forgetTyping(entry);
    const chat = chatOf(entry);
    this.#changed();
    this.#emitter.emit('entry', entry as unknown as Missed);
    if (chat) this.#emitter.emit('chat', chat);
  }

  #forgetTyping(entry: Entry): void {
    if (isKind(entry, 'create:chat') || isKind(entry, 'remove:member')) this.#typing.forget(entry.username);
  }

  #moved(position: Position): void {
    this.#outbox.reached(position);
    this.#changed();
  }

  #stateChanged(state: RoomState): void {
    this.#emitter.emit('state', state);
    this.#changed();
    if (state !== 'live') return;
    void this.#marks.tell();
    if (this.#presence === 'away') void this.#signal('update:presence', { presence: 'away' });
  }

  #ended(ending: RoomEvents['ended']): void {
    const { reason, error } = ending;
    this.#typing.close();
    // Whoever is refused now may come back under another name, or to what another page is in.
    const isKept = reason === 'closed' || reason === 'refused';
    if (isKept) this.keeper.close();
    this.#outbox.close(this.follower.refusal, reason === 'left');
    if (!isKept) this.keeper.forget();
    this.#isRefused(new JoinError(error ?? closed().error));
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
