/** A room as far as it has connections on this node: follows its log, and broadcasts its entries. */
import type { EntryFields, Position, Presence, BroadcastFields as Said } from '@engawa/protocol';
import { type BacklogDelivery, MAX_PAGE_ENTRIES, RoomBacklog } from '../connections/backlog.ts';
import type { Connection } from '../connections/connection.ts';
import { broadcastIdOf, type ReplayPage, type ReplayQuery, readReplayPage, toBroadcast } from '../domain/entry-payloads.ts';
import { countMembers, isDisconnected } from '../domain/members.ts';
import { type MemberValue, memberKey } from '../domain/room-keys.ts';
import type { AppendNotice, Entry, KeyState, Store } from '../store/contract.ts';
import { type ConnectedPresence, EphemeralEvents } from './ephemeral-events.ts';
import { LargeRoomSummary } from './large-room-summary.ts';
import { LogFollower } from './log-follower.ts';
import type { PageCache } from './page-cache.ts';
import { ReconcileInterval } from './reconcile-interval.ts';
import { RoomBroadcaster } from './room-broadcaster.ts';

/** Lookups of one room that are shared by clients that ask at the same time. */
const MAX_CACHED_LOOKUPS = 16;

/** Kinds of entries that make a member. The creator of a room receives `create:room`, too. */
const JOINING_KINDS = new Set(['create:room', 'add:member']);

/** The offset of an entry: a plain Socket.IO client sends it when it reconnects, to receive what follows. */
const offsetOf = ({ hlc }: Entry): string => String(hlc);

/** A join in progress. The connection is attached when its own entry is broadcast, so it receives that entry and all later ones. */
export interface PendingJoin {
  connection: Connection;
  key: string;
  username: string;
  /** The entry that removed the member before the connection was attached, if any. */
  removedAtSeq?: number;
  /** Set once attached: the connection receives every entry after this position. */
  livePosition?: Position;
}

interface LocalRoomOptions {
  roomId: string;
  store: Store;
  pageCache: PageCache;
  node: string;
  /** Rooms with at least this many members are large. */
  largeRoomThreshold: number;
  onError: (error: unknown) => undefined;
  /** Called when the member is connected to this node. */
  acquireLease: (key: string) => Promise<unknown>;
  /** Called when the member has no connection to this node any more, or was removed while joining. */
  onMemberDetached: (key: string) => void;
  /** Called when the room may have no connections left. */
  onMaybeEmpty: (room: LocalRoom) => void;
}

/**
 * Broadcasts the log of a room to the connections of this node. Joins and leaves take effect at their own entries in the log: so
 * a connection receives nothing from before its join or after its removal.
 */
export class LocalRoom {
  readonly roomId: string;
  readonly follower: LogFollower;
  readonly ephemeralEvents: EphemeralEvents;
  readonly reconcileInterval = new ReconcileInterval();
  /** False once all connections have left: a later join opens a new LocalRoom. */
  isOpen = true;
  readonly #options: LocalRoomOptions;
  readonly #broadcaster: RoomBroadcaster;
  /** The connections of each member, by the member's key. */
  readonly #connectionsByMember = new Map<string, Set<Connection>>();
  /** Connections from before the log got a new epoch: it is not known yet whether they are members in the new one. */
  readonly #unverified = new WeakSet<Connection>();
  /** Connections that have declared themselves away, by member key. */
  readonly #awayConnections = new Map<string, Set<Connection>>();
  /** By member key, so that each entry costs one lookup however many joins are pending. */
  readonly #pendingJoins = new Map<string, Set<PendingJoin>>();
  readonly #summary: LargeRoomSummary;
  /** The HLC value of the newest broadcast entry; 0 before the first. */
  latestHlc = 0;
  /** The seq of the next broadcast entry after one, by the id of that one. */
  readonly #nextBroadcastSeqs = new Map<string, Promise<number | undefined>>();

  private constructor(options: LocalRoomOptions) {
    const { roomId, store, node, largeRoomThreshold, onError } = options;
    this.#options = options;
    this.roomId = roomId;
    this.#broadcaster = new RoomBroadcaster(roomId);
    this.#summary = new LargeRoomSummary({
      roomId,
      countPeers: () => this.#connectionsByMember.size,
      readMemberCounts: () => this.#readMemberCounts(),
      broadcast: (event, notice) => this.#broadcaster.broadcast(event, notice),
      onError,
    });
    this.ephemeralEvents = new EphemeralEvents({
      node,
      largeRoomThreshold,
      summary: this.#summary,
      countLocalOnline: () => this.#connectionsByMember.size,
      localPresence: (username) => this.#localPresence(memberKey(username)),
      reassertPresence: async (username, presence) => {
        // The other node may have released the lease.
        await this.#options.acquireLease(memberKey(username));
        this.#publishPresence(username, presence);
      },
      broadcast: (event, signal) => this.#broadcaster.broadcast(event, signal),
      emitToMember: (key, event, signal) => this.#emitToMember(key, event, signal),
      publish: (message) => store.publish(roomId, message),
      onError,
    });
    this.follower = new LogFollower({
      store,
      room: roomId,
      onEntry: (notice) => this.#handleEntries(notice),
      onReset: (position) => this.#handleReset(position),
      onPublish: (message) => this.ephemeralEvents.receive(message),
      onError,
    });
  }

  static async open(options: LocalRoomOptions): Promise<LocalRoom> {
    const room = new LocalRoom(options);
    await room.follower.open();
    return room;
  }

  /** The newest entry that was broadcast. */
  get position(): Position | null {
    return this.follower.position;
  }

  get isEmpty(): boolean {
    return this.#connectionsByMember.size === 0 && this.#pendingJoins.size === 0;
  }

  isAttached(key: string): boolean {
    return this.#connectionsByMember.has(key);
  }

  /** Registers a join in progress, until it is removed. */
  addPendingJoin(pendingJoin: PendingJoin): void {
    this.#pendingJoins.set(pendingJoin.key, (this.#pendingJoins.get(pendingJoin.key) ?? new Set()).add(pendingJoin));
  }

  removePendingJoin(pendingJoin: PendingJoin): void {
    const pendingJoins = this.#pendingJoins.get(pendingJoin.key);
    if (pendingJoins?.delete(pendingJoin) && pendingJoins.size === 0) this.#pendingJoins.delete(pendingJoin.key);
  }

  /** Attaches a connection whose member is in the store; false if the member was removed since. */
  async attachMember(pendingJoin: PendingJoin, member: KeyState): Promise<boolean> {
    // Entries about the member up to here are outdated; later ones count, also those that arrive during the read.
    await this.follower.waitFor({ epoch: String(this.follower.position?.epoch), seq: member.seq });
    if ((pendingJoin.removedAtSeq ?? 0) > member.seq) return false;
    // Announce "online" only if "offline" was announced before, so that a restart causes no presence storm.
    const presenceElsewhere = isDisconnected(member) ? 'offline' : this.ephemeralEvents.presenceOf(pendingJoin.username);
    const before = this.#localPresence(pendingJoin.key) ?? presenceElsewhere;
    this.#attach(pendingJoin, this.position?.seq ?? 0);
    if (before !== 'online') this.#publishPresence(pendingJoin.username, 'online');
    return true;
  }

  /** Attaches a connection that first receives the entries after a given one: see `BacklogDelivery`. */
  async attachFrom(pendingJoin: PendingJoin, seq: number, attach: () => Promise<boolean>): Promise<boolean> {
    const { backlogDelivery } = pendingJoin.connection;
    if (!backlogDelivery || backlogDelivery.get(this.roomId)) return attach();
    backlogDelivery.add(this.roomId, new RoomBacklog(this, seq));
    const isAttached = await attach();
    if (!isAttached) backlogDelivery.remove(this.roomId);
    return isAttached;
  }

  /** Stops broadcasts to the connection: it receives the entries from the log until it is live again. */
  switchToBacklog(connection: Connection, delivery: BacklogDelivery): void {
    this.#broadcaster.remove(connection);
    delivery.add(this.roomId, new RoomBacklog(this, this.position?.seq ?? 0));
  }

  /** Broadcasts to the connection again. */
  resumeLive(connection: Connection): void {
    this.#broadcaster.add(connection);
  }

  /** Sets the presence of one connection. A member is away if all of their connections are. */
  async updatePresence(connection: Connection, { username, presence }: { username: string; presence: ConnectedPresence }): Promise<void> {
    const key = memberKey(username);
    // The connection may have been detached meanwhile.
    if (!this.#connectionsByMember.get(key)?.has(connection)) return;
    const away = this.#awayConnections.get(key) ?? new Set();
    if (presence === 'away') this.#awayConnections.set(key, away.add(connection));
    else if (away.delete(connection) && away.size === 0) this.#awayConnections.delete(key);
    if (this.#localPresence(key) === presence)
      await this.ephemeralEvents.publish({ event: 'update:presence', signal: { roomId: this.roomId, username, presence } });
  }

  /** Detaches a closed connection. */
  detach(connection: Connection, key: string, username: string): void {
    const connections = this.#connectionsByMember.get(key);
    const before = this.#localPresence(key);
    if (!connections?.delete(connection)) return;
    this.#awayConnections.get(key)?.delete(connection);
    const presence = this.#localPresence(key);
    if (presence && presence !== before) this.#publishPresence(username, presence);
    if (presence) return;
    this.#connectionsByMember.delete(key);
    this.#awayConnections.delete(key);
    this.#publishPresence(username, 'offline');
    this.#options.onMaybeEmpty(this);
    this.#options.onMemberDetached(key);
  }

  /**
   * Skips the entries after the client's position that were not broadcast. A large room may have thousands of them, and each of
   * thousands of returning clients may have joined with a different one.
   */
  async skipUnbroadcast<Held extends { seq: number; id?: string | null | undefined }>(clientPosition: Held): Promise<Held> {
    const { position } = this.follower;
    if (!position || !clientPosition.id || position.seq - clientPosition.seq <= MAX_PAGE_ENTRIES) return clientPosition;
    const newest = await this.#options.store.readPage(this.roomId, { limit: 1 });
    if (newest.lastBroadcastId === clientPosition.id) return { ...clientPosition, seq: newest.head };
    const id = await this.#broadcastIdBefore(clientPosition.seq, clientPosition.id);
    if (newest.lastBroadcastId === id) return { ...clientPosition, seq: newest.head, id };
    const name = JSON.stringify([position.epoch, id]);
    const next = await memoize(this.#nextBroadcastSeqs, name, () => this.#findNextBroadcast(clientPosition.seq, id));
    if (next !== undefined) return { ...clientPosition, seq: next - 1, id };
    this.#nextBroadcastSeqs.delete(name);
    return clientPosition;
  }

  /** The same for a client that received all broadcast entries up to `seq`. */
  async skipUnbroadcastAfter(seq: number): Promise<number> {
    if ((this.position?.seq ?? 0) - seq <= MAX_PAGE_ENTRIES) return seq;
    return (await this.skipUnbroadcast({ seq, id: await this.#broadcastIdUpTo(seq) })).seq;
  }

  /**
   * Reads a page of the log for replay. When thousands of clients return at once, most ask for the same page: it is cached until
   * the next broadcast. Entries that are not broadcast do not invalidate it, since replay leaves them out.
   */
  async readPage(query: ReplayQuery): Promise<ReplayPage> {
    const { store, pageCache } = this.#options;
    const { epoch, seq, id } = this.follower.position ?? { seq: 0 };
    const read = () => readReplayPage(store, this.roomId, query);
    // A page after the known head must not be cached: the log may have grown when the next client asks.
    if (query.after >= seq) return read();
    return pageCache.get(JSON.stringify([this.roomId, epoch, id, query.after, query.limit, query.bytes]), query.bytes, read);
  }

  close(): void {
    this.isOpen = false;
    this.follower.close();
    this.ephemeralEvents.close();
    this.#summary.close();
  }

  #handleEntries({ epoch, entries, ended }: AppendNotice): void {
    const { onMaybeEmpty, onError } = this.#options;
    this.reconcileInterval.reset();
    for (const entry of entries) {
      try {
        this.#broadcastEntry(epoch, entry);
      } catch (error) {
        // Another version may have written an entry that this one cannot handle: it is skipped, and the room continues.
        onError(error);
      }
    }
    if (ended) this.#handleRoomEnd(epoch, entries.at(-1));
    onMaybeEmpty(this);
  }

  #broadcastEntry(epoch: string, entry: Entry): void {
    this.latestHlc = entry.hlc;
    if (JOINING_KINDS.has(entry.kind)) this.#attachPendingJoins(entry);
    const event = `${entry.kind}:success`;
    const payload = toBroadcast({ roomId: this.roomId, epoch }, entry);
    if (entry.quiet) this.#handleUnbroadcastEntry(event, payload, entry);
    else this.#broadcaster.broadcastEntry(event, payload, offsetOf(entry));
    if (entry.kind === 'create:chat') this.ephemeralEvents.clearTyping(entry.by);
    if (entry.kind === 'remove:member') this.#removeMember(memberKey((entry.body as Said<'remove:member'>).username), entry.seq);
  }

  /** The log no longer exists, so connections with a backlog receive only its last entry. */
  #handleRoomEnd(epoch: string, last: Entry | undefined): void {
    for (const [key, connections] of [...this.#connectionsByMember]) {
      for (const connection of connections)
        if (last && this.#backlogOf(connection))
          connection.peer.emit(`${last.kind}:success`, toBroadcast({ roomId: this.roomId, epoch }, last));
      this.#detachMember(key);
    }
  }

  /** The room receives counts; the member receives their own join or leave. */
  #handleUnbroadcastEntry(event: string, payload: EntryFields, entry: Entry): void {
    this.#emitToMember(memberKey(entry.by), event, payload, offsetOf(entry));
    if (entry.kind === 'add:member') this.#summary.addJoined(entry.by);
    if (entry.kind === 'remove:member') this.#summary.addLeft(payload.username);
  }

  /** A connection that drops during its backlog must not resume after it: it gets no offset. */
  #emitToMember(key: string, event: string, payload: object, ...offset: string[]): void {
    for (const connection of this.#connectionsByMember.get(key) ?? []) {
      const { backlogDelivery, canUseOffsets } = connection;
      connection.peer.emit(event, payload, ...(canUseOffsets && !backlogDelivery ? offset : []));
    }
  }

  async #readMemberCounts() {
    const { epoch, ...counts } = await countMembers(this.#options.store, this.roomId);
    return epoch === null ? undefined : { epoch, ...counts, online: this.ephemeralEvents.takeOnlineCount() };
  }

  /** The log has a new epoch. Connections stay attached if they are members in the new one. */
  #handleReset({ epoch, seq }: { epoch: string | null; seq: number }): void {
    this.latestHlc = 0;
    this.#broadcaster.broadcast('reset:room', { roomId: this.roomId, epoch, seq });
    for (const connections of this.#connectionsByMember.values()) for (const connection of connections) this.#unverified.add(connection);
    this.#verifyMembers().catch(this.#options.onError);
  }

  async #verifyMembers(): Promise<void> {
    const { store, onMaybeEmpty } = this.#options;
    const { keys } = await store.read(this.roomId, { keys: [...this.#connectionsByMember.keys()] });
    for (const [key, connections] of this.#connectionsByMember) {
      const author = (keys.get(key)?.value as MemberValue | undefined)?.author;
      const nonMembers = [...connections].filter((connection) => this.#unverified.has(connection) && connection.identity.author !== author);
      this.#detachMember(key, { connections: nonMembers });
    }
    onMaybeEmpty(this);
  }

  #attachPendingJoins({ seq, by, author }: Entry): void {
    for (const pendingJoin of this.#pendingJoins.get(memberKey(by)) ?? []) {
      if (pendingJoin.connection.identity.author !== author) continue;
      this.#attach(pendingJoin, seq - 1);
      this.#publishPresence(pendingJoin.username, 'online');
    }
  }

  /** Attaches a connection, which receives the entries after `seq`. */
  #attach(pendingJoin: PendingJoin, after: number): void {
    const { connection, key, username } = pendingJoin;
    if (!connection.peer.isConnected) {
      this.#options.onMemberDetached(key);
      return;
    }
    this.#connectionsByMember.set(key, (this.#connectionsByMember.get(key) ?? new Set()).add(connection));
    this.#unverified.delete(connection);
    connection.attach(this, key, username);
    if (this.follower.position) pendingJoin.livePosition = this.follower.position;
    this.ephemeralEvents.scheduleCount();
    this.#startDelivery(connection, after);
  }

  #startDelivery(connection: Connection, after: number): void {
    const { backlogDelivery } = connection;
    const backlog = backlogDelivery?.get(this.roomId);
    if (backlog) backlog.extend(after);
    else if (backlogDelivery) backlogDelivery.add(this.roomId, new RoomBacklog(this, after));
    else this.#broadcaster.add(connection);
  }

  #backlogOf(connection: Connection): RoomBacklog | undefined {
    return connection.backlogDelivery?.get(this.roomId);
  }

  #removeMember(key: string, seq: number): void {
    for (const pendingJoin of this.#pendingJoins.get(key) ?? []) pendingJoin.removedAtSeq = seq;
    this.#detachMember(key, { seq });
  }

  /** Ends the backlog of a removed member at the entry (`seq`) that removed them. */
  #detachMember(key: string, { connections = [...(this.#connectionsByMember.get(key) ?? [])], seq = 0 } = {}): void {
    const attached = this.#connectionsByMember.get(key);
    for (const connection of connections) {
      attached?.delete(connection);
      this.#awayConnections.get(key)?.delete(connection);
      if (!connection.detach(this.roomId, key)) continue;
      const backlog = this.#backlogOf(connection);
      if (backlog) backlog.truncateAt(seq);
      else this.#broadcaster.remove(connection);
    }
    if (attached && attached.size > 0) return;
    this.#connectionsByMember.delete(key);
    this.#awayConnections.delete(key);
    this.ephemeralEvents.forgetMember(key);
    this.ephemeralEvents.scheduleCount();
  }

  #localPresence(key: string): ConnectedPresence | undefined {
    const connectionCount = this.#connectionsByMember.get(key)?.size ?? 0;
    if (connectionCount === 0) return undefined;
    return this.#awayConnections.get(key)?.size === connectionCount ? 'away' : 'online';
  }

  #publishPresence(username: string, presence: Presence): void {
    const signal = { roomId: this.roomId, username, presence };
    this.ephemeralEvents.publish({ event: 'update:presence', signal }).catch(this.#options.onError);
  }

  /** The id of the newest broadcast entry up to `seq`, if the log still has it. */
  async #broadcastIdUpTo(seq: number): Promise<string | undefined> {
    const entry = (await this.#options.store.read(this.roomId, { seqs: [seq] })).entries.get(seq);
    return (entry?.quiet ? entry.prev : entry?.id) ?? undefined;
  }

  /**
   * A client may send the id of its own join, which was not broadcast: then this is the id of the last broadcast entry before
   * it.
   */
  async #broadcastIdBefore(seq: number, id: string): Promise<string | null> {
    const entry = (await this.#options.store.read(this.roomId, { seqs: [seq] })).entries.get(seq);
    return entry ? broadcastIdOf(entry, id) : id;
  }

  /** The seq of the next broadcast entry, if the one before it has this id. */
  async #findNextBroadcast(seq: number, id: string | null): Promise<number | undefined> {
    for (let after = seq; ; ) {
      const { entries, hasMore } = await this.#options.store.readPage(this.roomId, { after, limit: MAX_PAGE_ENTRIES });
      const broadcast = entries.find(({ quiet }) => !quiet);
      if (broadcast) return broadcast.prev === id ? broadcast.seq : undefined;
      after = entries.at(-1)?.seq ?? after;
      if (!hasMore) return undefined;
    }
  }
}

/** Loads a value once for all concurrent callers. */
function memoize<Result>(cache: Map<string, Promise<Result>>, name: string, load: () => Promise<Result>): Promise<Result> {
  const cached = cache.get(name);
  if (cached) return cached;
  if (cache.size >= MAX_CACHED_LOOKUPS) cache.clear();
  const result = load();
  cache.set(name, result);
  result.catch(() => cache.delete(name));
  return result;
}
