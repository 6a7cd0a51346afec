import type { EntryFields, Position, Presence, Told as Said } from '@engawa/protocol';
import { Follower } from '../chat/follower.ts';
import { type MemberValue, memberKey } from '../chat/keys.ts';
import { countMembers, isAway } from '../chat/members.ts';
import { type AskAfter, heard, type ToldPage, toldId, toldPage } from '../chat/telling.ts';
import type { Entry, Key, Store, Told } from '../store/store.ts';
import { Audience } from './audience.ts';
import { Backlog, type CatchUp, PAGE_ENTRIES } from './catch-up.ts';
import type { Connection } from './connection.ts';
import { Crowd } from './crowd.ts';
import { Pace } from './pace.ts';
import type { PageCache } from './page-cache.ts';
import { type Connected, Signals } from './signals.ts';
import type { Peer, Wire } from './wire.ts';

/** Places in a room that are asked for at the same time, and remembered for whoever asks next. */
const SHARED_PLACES = 16;

/** Kinds of entries that make somebody a member; who creates a room hears of its creation, too. */
const SEATING = new Set(['create:room', 'add:member']);

export const connectionOf = (peer: Peer): Connection => (peer.data as { connection: Connection }).connection;

/** A stock client that was told an entry may show this to come back from there. */
const offsetOf = ({ tick }: Entry): string => String(tick);

/** Somebody who is about to join: seated in the moment his own entry is told, so he hears that and all after. */
export interface Arrival {
  peer: Peer;
  key: string;
  username: string;
  /** The entry that removed him before he was seated, if there was one. */
  removedBy?: number;
  /** Once he is seated: he hears everything after this. */
  follows?: Position;
}

interface Surroundings {
  roomId: string;
  wire: Wire;
  store: Store;
  pages: PageCache;
  node: string;
  /** Members from which on a room is large. */
  largeRoom: number;
  onError: (error: unknown) => undefined;
  /** The member is connected to this node. */
  hold: (key: string) => Promise<unknown>;
  /** The member has no connection to this node any more, or came too late to have one. */
  letGo: (key: string) => void;
  /** Perhaps nobody is here any more. */
  left: (room: LocalRoom) => void;
}

/**
 * A room as far as it has peers on this node. It is told what happens by the log, and who joins and who leaves takes the
 * same road: so nobody hears what was said before he came or after he was removed.
 */
export class LocalRoom {
  readonly roomId: string;
  readonly follower: Follower;
  readonly signals: Signals;
  /** How often it is compared with its log. */
  readonly pace = new Pace();
  /** False once it was left by all: whoever comes later opens another. */
  isOpen = true;
  readonly #surroundings: Surroundings;
  readonly #everybody: Audience;
  /** The peers of each member, by the member's key. */
  readonly #seats = new Map<string, Set<Peer>>();
  /** Seated before the log was found to be another one: whether they are members in that, too, is not known yet. */
  readonly #doubted = new WeakSet<Peer>();
  /** Those of them at which nobody looks, as they say. */
  readonly #away = new Map<string, Set<Peer>>();
  /** By the member's key, too: for each of ten thousand entries one look, not ten thousand. */
  readonly #arriving = new Map<string, Set<Arrival>>();
  readonly #crowd: Crowd;
  /** Of the newest entry that was told here; 0 before the first. */
  tick = 0;
  /** The entry that was told next after one, by the id of that. */
  readonly #nexts = new Map<string, Promise<number | undefined>>();

  private constructor(surroundings: Surroundings) {
    const { roomId, wire, store, node, largeRoom, onError } = surroundings;
    this.#surroundings = surroundings;
    this.roomId = roomId;
    this.#everybody = new Audience(wire, roomId);
    this.#crowd = new Crowd({
      roomId,
      peers: () => this.#seats.size,
      count: () => this.#count(),
      tell: (event, notice) => this.#everybody.tell(event, notice),
      onError,
    });
    this.signals = new Signals({
      node,
      largeRoom,
      crowd: this.#crowd,
      onlineHere: () => this.#seats.size,
      presenceHere: (username) => this.#presenceHere(memberKey(username)),
      insist: async (username, presence) => {
        // The node that said so may have let go of the lease.
        await this.#surroundings.hold(memberKey(username));
        this.#announcePresence(username, presence);
      },
      tell: (event, signal) => this.#everybody.tell(event, signal),
      tellMember: (key, event, signal) => this.#tellMember(key, event, signal),
      announce: (announced) => store.announce(roomId, announced),
      onError,
    });
    this.follower = new Follower({
      store,
      room: roomId,
      tell: (told) => this.#tell(told),
      reset: (to) => this.#reset(to),
      announced: (signal) => this.signals.hear(signal),
      onError,
    });
  }

  static async open(surroundings: Surroundings): Promise<LocalRoom> {
    const room = new LocalRoom(surroundings);
    await room.follower.open();
    return room;
  }

  /** How far it was told. */
  get position(): Position | null {
    return this.follower.position;
  }

  get isEmpty(): boolean {
    return this.#seats.size === 0 && this.#arriving.size === 0;
  }

  hasSeat(key: string): boolean {
    return this.#seats.has(key);
  }

  /** Somebody is about to join, until he is dismissed. */
  expect(arrival: Arrival): void {
    this.#arriving.set(arrival.key, (this.#arriving.get(arrival.key) ?? new Set()).add(arrival));
  }

  dismiss(arrival: Arrival): void {
    const expected = this.#arriving.get(arrival.key);
    if (expected?.delete(arrival) && expected.size === 0) this.#arriving.delete(arrival.key);
  }

  /** Seats somebody who is a member, as the store has him; false when he was removed since. */
  async seatMember(arrival: Arrival, member: Key): Promise<boolean> {
    // What the log says of him up to here is past; what it says later, also while we asked, counts.
    await this.follower.reached({ epoch: String(this.follower.position?.epoch), seq: member.seq });
    if ((arrival.removedBy ?? 0) > member.seq) return false;
    // Of whom nobody was told that he is gone, nobody need be told that he is back: so a restart is no storm of news.
    const elsewhere = isAway(member) ? 'gone' : this.signals.presenceOf(arrival.username);
    const before = this.#presenceHere(arrival.key) ?? elsewhere;
    this.#seat(arrival, this.position?.seq ?? 0);
    if (before !== 'online') this.#announcePresence(arrival.username, 'online');
    return true;
  }

  /** Seats him so that he hears nothing of the room until he is told what came after an entry: see `CatchUp`. */
  async seatAfter(arrival: Arrival, seq: number, seat: () => Promise<boolean>): Promise<boolean> {
    const { catchUp } = connectionOf(arrival.peer);
    if (!catchUp || catchUp.of(this.roomId)) return seat();
    catchUp.add(this.roomId, new Backlog(this, seq));
    const isSeated = await seat();
    if (!isSeated) catchUp.drop(this.roomId);
    return isSeated;
  }

  /** What the room is told reaches him no more: from here on he is told the log, until he hears it again. */
  fallBehind(peer: Peer, catchUp: CatchUp): void {
    this.#everybody.remove(peer, connectionOf(peer));
    catchUp.add(this.roomId, new Backlog(this, this.position?.seq ?? 0));
  }

  hearAgain(peer: Peer): void {
    const connection = connectionOf(peer);
    if (connection.seats.has(this.roomId)) this.#everybody.add(peer, connection);
  }

  /** Somebody looks, or nobody, at one connection of a member: they are away when that is so of all. */
  async present(peer: Peer, { username, presence }: { username: string; presence: Connected }): Promise<void> {
    const key = memberKey(username);
    // It may have gone since it said so.
    if (!this.#seats.get(key)?.has(peer)) return;
    const away = this.#away.get(key) ?? new Set();
    if (presence === 'away') this.#away.set(key, away.add(peer));
    else if (away.delete(peer) && away.size === 0) this.#away.delete(key);
    if (this.#presenceHere(key) === presence)
      await this.signals.announce({ event: 'update:presence', signal: { roomId: this.roomId, username, presence } });
  }

  /** The connection is gone. */
  rise(peer: Peer, key: string, username: string): void {
    const peers = this.#seats.get(key);
    const before = this.#presenceHere(key);
    if (!peers?.delete(peer)) return;
    this.#away.get(key)?.delete(peer);
    const presence = this.#presenceHere(key);
    if (presence && presence !== before) this.#announcePresence(username, presence);
    if (presence) return;
    this.#seats.delete(key);
    this.#away.delete(key);
    this.#announcePresence(username, 'gone');
    this.#surroundings.left(this);
    this.#surroundings.letGo(key);
  }

  /**
   * From where on to read for who was told up to an entry: past the quiet ones after it. In a large room they may be
   * thousands, and of thousands who come back each may have joined with another of them as his last.
   */
  async pastQuiet<Held extends { seq: number; id?: string | null | undefined }>(held: Held): Promise<Held> {
    const { position } = this.follower;
    if (!position || !held.id || position.seq - held.seq <= PAGE_ENTRIES) return held;
    const newest = await this.#surroundings.store.page(this.roomId, { limit: 1 });
    if (newest.tail === held.id) return { ...held, seq: newest.head };
    const id = await this.#toldBefore(held.seq, held.id);
    if (newest.tail === id) return { ...held, seq: newest.head, id };
    const name = JSON.stringify([position.epoch, id]);
    const next = await shared(this.#nexts, name, () => this.#toldAfter(held.seq, id));
    if (next !== undefined) return { ...held, seq: next - 1, id };
    this.#nexts.delete(name);
    return held;
  }

  /** The same for who was told what is told up to there. */
  async pastQuietAfter(seq: number): Promise<number> {
    if ((this.position?.seq ?? 0) - seq <= PAGE_ENTRIES) return seq;
    return (await this.pastQuiet({ seq, id: await this.#toldUpTo(seq) })).seq;
  }

  /**
   * A page of the log, as it is told. When thousands come back at once, most ask for the same: it is read once until something
   * is told; quiet entries that come meanwhile are nothing that they would learn of from it.
   */
  async page(ask: AskAfter): Promise<ToldPage> {
    const { store, pages } = this.#surroundings;
    const { epoch, seq, id } = this.follower.position ?? { seq: 0 };
    const read = () => toldPage(store, this.roomId, ask);
    // What is asked for by who is ahead of the log says nothing to who gets there later.
    if (ask.after >= seq) return read();
    return pages.get(JSON.stringify([this.roomId, epoch, id, ask.after, ask.limit, ask.bytes]), ask.bytes, read);
  }

  close(): void {
    this.isOpen = false;
    this.follower.close();
    this.signals.close();
    this.#crowd.close();
  }

  #tell({ epoch, entries, ended }: Told): void {
    const { left, onError } = this.#surroundings;
    this.pace.hasten();
    for (const entry of entries) {
      try {
        this.#tellEntry(epoch, entry);
      } catch (error) {
        // Another version may have written what is not understood here: it keeps its place, and the room goes on.
        onError(error);
      }
    }
    if (ended) this.#end(epoch, entries.at(-1));
    left(this);
  }

  #tellEntry(epoch: string, entry: Entry): void {
    this.tick = entry.tick;
    if (SEATING.has(entry.kind)) this.#seatArrivals(entry);
    const event = `${entry.kind}:success`;
    const told = heard({ roomId: this.roomId, epoch }, entry);
    if (entry.quiet) this.#tellQuietly(event, told, entry);
    else this.#everybody.tellEntry(event, told, offsetOf(entry));
    if (entry.kind === 'create:chat') this.signals.said(entry.by);
    if (entry.kind === 'remove:member') this.#remove(memberKey((entry.body as Said<'remove:member'>).username), entry.seq);
  }

  /** There is no log any more that could tell who is behind of its end. */
  #end(epoch: string, last: Entry | undefined): void {
    for (const [key, peers] of [...this.#seats]) {
      for (const peer of peers)
        if (last && this.#backlogOf(peer)) peer.emit(`${last.kind}:success`, heard({ roomId: this.roomId, epoch }, last));
      this.#unseat(key);
    }
  }

  /** The room hears a count; he himself, that he joined or left. */
  #tellQuietly(event: string, told: EntryFields, entry: Entry): void {
    this.#tellMember(memberKey(entry.by), event, told, offsetOf(entry));
    if (entry.kind === 'add:member') this.#crowd.joined(entry.by);
    if (entry.kind === 'remove:member') this.#crowd.left(told.username);
  }

  /** Who is still told what he missed, and drops before its end, must not come back from after it: he is given no offset. */
  #tellMember(key: string, event: string, payload: object, ...offset: string[]): void {
    for (const peer of this.#seats.get(key) ?? []) {
      const { catchUp, takesOffset } = connectionOf(peer);
      peer.emit(event, payload, ...(takesOffset && !catchUp ? offset : []));
    }
  }

  async #count() {
    const { epoch, ...counted } = await countMembers(this.#surroundings.store, this.roomId);
    return epoch === null ? undefined : { epoch, ...counted, online: this.signals.tellOnline() };
  }

  /** The room has another log than its peers know. Who is a member in that one, too, stays. */
  #reset({ epoch, seq }: { epoch: string | null; seq: number }): void {
    this.tick = 0;
    this.#everybody.tell('reset:room', { roomId: this.roomId, epoch, seq });
    for (const peers of this.#seats.values()) for (const peer of peers) this.#doubted.add(peer);
    this.#keepMembers().catch(this.#surroundings.onError);
  }

  async #keepMembers(): Promise<void> {
    const { store, left } = this.#surroundings;
    const { keys } = await store.read(this.roomId, { keys: [...this.#seats.keys()] });
    for (const [key, peers] of this.#seats) {
      const author = (keys.get(key)?.value as MemberValue | undefined)?.author;
      const strangers = [...peers].filter((peer) => this.#doubted.has(peer) && connectionOf(peer).identity.author !== author);
      this.#unseat(key, { peers: strangers });
    }
    left(this);
  }

  #seatArrivals({ seq, by, author }: Entry): void {
    for (const arrival of this.#arriving.get(memberKey(by)) ?? []) {
      if (connectionOf(arrival.peer).identity.author !== author) continue;
      this.#seat(arrival, seq - 1);
      this.#announcePresence(arrival.username, 'online');
    }
  }

  /** He hears what comes after an entry. */
  #seat(arrival: Arrival, after: number): void {
    const { peer, key, username } = arrival;
    if (!peer.connected) {
      this.#surroundings.letGo(key);
      return;
    }
    this.#seats.set(key, (this.#seats.get(key) ?? new Set()).add(peer));
    this.#doubted.delete(peer);
    connectionOf(peer).sit(this, key, username);
    if (this.follower.position) arrival.follows = this.follower.position;
    this.signals.countSoon();
    this.#hear(peer, after);
  }

  #hear(peer: Peer, after: number): void {
    const connection = connectionOf(peer);
    const { catchUp } = connection;
    const backlog = catchUp?.of(this.roomId);
    if (backlog) backlog.goOn(after);
    else if (catchUp) catchUp.add(this.roomId, new Backlog(this, after));
    else this.#everybody.add(peer, connection);
  }

  #backlogOf(peer: Peer): Backlog | undefined {
    return connectionOf(peer).catchUp?.of(this.roomId);
  }

  #remove(key: string, seq: number): void {
    for (const arrival of this.#arriving.get(key) ?? []) arrival.removedBy = seq;
    this.#unseat(key, { seq });
  }

  /** Who is still being told what he missed is told up to the entry (`seq`) that removed him. */
  #unseat(key: string, { peers = [...(this.#seats.get(key) ?? [])], seq = 0 } = {}): void {
    const seated = this.#seats.get(key);
    for (const peer of peers) {
      seated?.delete(peer);
      this.#away.get(key)?.delete(peer);
      const connection = connectionOf(peer);
      if (!connection.rise(this.roomId, key)) continue;
      const backlog = this.#backlogOf(peer);
      if (backlog) backlog.end(seq);
      else this.#everybody.remove(peer, connection);
    }
    if (seated && seated.size > 0) return;
    this.#seats.delete(key);
    this.#away.delete(key);
    this.signals.forget(key);
    this.signals.countSoon();
  }

  #presenceHere(key: string): Connected | undefined {
    const seated = this.#seats.get(key)?.size ?? 0;
    if (seated === 0) return undefined;
    return this.#away.get(key)?.size === seated ? 'away' : 'online';
  }

  #announcePresence(username: string, presence: Presence): void {
    const signal = { roomId: this.roomId, username, presence };
    this.signals.announce({ event: 'update:presence', signal }).catch(this.#surroundings.onError);
  }

  /** The `id` of the newest entry up to there that was told, if the log still says so. */
  async #toldUpTo(seq: number): Promise<string | undefined> {
    const entry = (await this.#surroundings.store.read(this.roomId, { seqs: [seq] })).entries.get(seq);
    return (entry?.quiet ? entry.prev : entry?.id) ?? undefined;
  }

  /** A client may show the `id` of the quiet entry by which it joined: that of the entry told before it, then. */
  async #toldBefore(seq: number, id: string): Promise<string | null> {
    const entry = (await this.#surroundings.store.read(this.roomId, { seqs: [seq] })).entries.get(seq);
    return entry ? toldId(entry, id) : id;
  }

  /** Where the log goes on with what is told, if what was told before that is the named one. */
  async #toldAfter(seq: number, id: string | null): Promise<number | undefined> {
    for (let after = seq; ; ) {
      const { entries, more } = await this.#surroundings.store.page(this.roomId, { after, limit: PAGE_ENTRIES });
      const told = entries.find(({ quiet }) => !quiet);
      if (told) return told.prev === id ? told.seq : undefined;
      after = entries.at(-1)?.seq ?? after;
      if (!more) return undefined;
    }
  }
}

/** Asked once for all who want to know it while it is remembered. */
function shared<Answer>(known: Map<string, Promise<Answer>>, name: string, ask: () => Promise<Answer>): Promise<Answer> {
  const before = known.get(name);
  if (before) return before;
  if (known.size >= SHARED_PLACES) known.clear();
  const answer = ask();
  known.set(name, answer);
  answer.catch(() => known.delete(name));
  return answer;
}
