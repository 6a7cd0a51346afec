/** The registry of the rooms that have connections on this node: opens and closes them, and attaches connections. */
import { ChatError, type Position } from '@engawa/protocol';
import { BacklogDelivery } from '../connections/backlog.ts';
import type { Connection } from '../connections/connection.ts';
import type { CommandResult } from '../domain/execute-command.ts';
import { type MemberValue, memberKey } from '../domain/room-keys.ts';
import type { ResponseMemory } from '../limits/response-memory.ts';
import { type KeyState, type Store, StoreError } from '../store/contract.ts';
import type { EphemeralEvent } from './ephemeral-events.ts';
import { LocalRoom, type PendingJoin } from './local-room.ts';
import { PageCache } from './page-cache.ts';
import { MIN_RECONCILE_INTERVAL_MS } from './reconcile-interval.ts';

const RELEASE_RETRY_MS = 1_000;
/** Rooms are reconciled with their logs in this many portions. */
const RECONCILE_PORTIONS = 50;

interface RoomRegistryOptions {
  store: Store;
  responseMemory: ResponseMemory;
  node: string;
  graceMs: number;
  /** Rooms with at least this many members are large. */
  largeRoomThreshold: number;
  onError: (error: unknown) => undefined;
}

interface MemberRef {
  roomId: string;
  username: string;
}

/** The rooms that have connections on this node: each is opened for the first one and closed after the last one. */
export class RoomRegistry {
  readonly #options: RoomRegistryOptions;
  readonly #store: Store;
  readonly #pageCache = new PageCache();
  readonly #rooms = new Map<string, Promise<LocalRoom>>();
  readonly #reconcileTimer: NodeJS.Timeout;
  #roomsToReconcile: Promise<LocalRoom>[] = [];
  #portion = 0;

  constructor(options: RoomRegistryOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#reconcileTimer = setInterval(() => this.#reconcilePortion(), MIN_RECONCILE_INTERVAL_MS / RECONCILE_PORTIONS);
  }

  get hasRooms(): boolean {
    return this.#rooms.size > 0;
  }

  /** The room, if a connection of this node is in it. */
  async get(roomId: string): Promise<LocalRoom | undefined> {
    return this.#rooms.get(roomId)?.catch(() => undefined);
  }

  /** The rooms with connections of this node, and their positions. */
  async readPositions(): Promise<{ room: string; epoch: string; head: number }[]> {
    const rooms = await Promise.all([...this.#rooms.keys()].map((roomId) => this.get(roomId)));
    return rooms.flatMap((room) => {
      const position = room?.follower.position;
      return room && position ? [{ room: room.roomId, epoch: position.epoch, head: position.seq }] : [];
    });
  }

  /**
   * Attaches the connection as the member that `execute` makes it, or that it is already. Returns the position after which it
   * receives the entries of the room.
   */
  async join(connection: Connection, member: MemberRef, execute: () => Promise<CommandResult>): Promise<[CommandResult, Position | null]> {
    return this.#withPendingJoin(connection, member, async (room, pendingJoin) => {
      const result = await execute();
      if (result.outcome === 'appended') await room.follower.waitFor(result);
      // Around a fork the entry may be in the log and never be broadcast here: then it attached no connection.
      const isAttached = result.outcome === 'appended' && pendingJoin.livePosition !== undefined;
      if (!isAttached && !(await this.#reattachMember(room, pendingJoin)) && result.outcome !== 'repeated') throw new ChatError('busy');
      return [result, pendingJoin.livePosition ?? room.follower.position];
    });
  }

  /** Attaches a returning connection whose member still exists. Returns the room, whose entries it receives from now on. */
  async reattach(connection: Connection, member: MemberRef): Promise<LocalRoom> {
    return this.#withPendingJoin(connection, member, async (room, pendingJoin) => {
      if (!(await this.#reattachMember(room, pendingJoin))) throw new ChatError(room.follower.position ? 'not_a_member' : 'room_not_found');
      return room;
    });
  }

  /** The connection receives no broadcasts of its rooms until it has received the backlogs that are added to the delivery. */
  createBacklogDelivery(connection: Connection): BacklogDelivery {
    const { responseMemory, onError } = this.#options;
    const { peer, canUseOffsets } = connection;
    const owner = { budgets: connection.address?.budgets, disconnect: () => peer.disconnect() };
    const reserve = (bytes: number) => responseMemory.reserve(owner, bytes);
    const onCaughtUp = () => {
      connection.backlogDelivery = undefined;
      for (const [, { room }] of connection.memberships) room.resumeLive(connection);
    };
    connection.backlogDelivery = new BacklogDelivery(peer, { reserve, onError, onCaughtUp, canUseOffsets });
    return connection.backlogDelivery;
  }

  /** The client is a slow consumer: it receives the entries of its rooms from the logs, as fast as it reads. */
  switchToBacklog(connection: Connection): void {
    if (connection.backlogDelivery) return;
    const delivery = this.createBacklogDelivery(connection);
    for (const [, { room }] of connection.memberships) room.switchToBacklog(connection, delivery);
    void delivery.deliver();
  }

  /** Attaches a returning connection, and schedules the entries after a given one. */
  async reattachFrom(connection: Connection, { seq, ...member }: MemberRef & { seq: number }): Promise<void> {
    await this.#withPendingJoin(connection, member, async (room, pendingJoin) => {
      if (!(await room.attachFrom(pendingJoin, seq, () => this.#reattachMember(room, pendingJoin)))) throw new ChatError('not_a_member');
    });
  }

  /** Detaches a closed connection. Its names stay reserved for the grace period. */
  async detachConnection(connection: Connection): Promise<void> {
    const memberships = [...connection.memberships].map(([roomId, { usernames }]) => ({ roomId, usernames: [...usernames] }));
    for (const { roomId, usernames } of memberships) for (const [key] of usernames) connection.detach(roomId, key);
    for (const { roomId, usernames } of memberships) {
      const room = await this.get(roomId);
      for (const [key, username] of usernames) room?.detach(connection, key, username);
    }
  }

  /** Announces that a member is offline whose own node could not announce it. */
  async announceOffline(roomId: string, username: string): Promise<void> {
    const event: EphemeralEvent = { event: 'update:presence', signal: { roomId, username, presence: 'offline' } };
    const room = await this.get(roomId);
    if (room) await room.ephemeralEvents.publish(event);
    // Members who are connected are announced by their own nodes.
    else await this.#store.publish(roomId, { node: this.#options.node, online: 0, said: event });
  }

  close(): void {
    clearInterval(this.#reconcileTimer);
  }

  async #withPendingJoin<Result>(
    connection: Connection,
    { roomId, username }: MemberRef,
    attach: (room: LocalRoom, pendingJoin: PendingJoin) => Promise<Result>,
  ) {
    const pendingJoin: PendingJoin = { connection, key: memberKey(username), username };
    const room = await this.#openFor(roomId, pendingJoin);
    try {
      return await attach(room, pendingJoin);
    } finally {
      room.removePendingJoin(pendingJoin);
      this.#closeIfEmpty(room);
    }
  }

  async #openFor(roomId: string, pendingJoin: PendingJoin): Promise<LocalRoom> {
    for (;;) {
      const opening = this.#rooms.get(roomId) ?? this.#createRoom(roomId);
      this.#rooms.set(roomId, opening);
      const room = await opening.catch((error: unknown) => {
        this.#rooms.delete(roomId);
        throw error;
      });
      if (!room.isOpen) continue;
      room.addPendingJoin(pendingJoin);
      return room;
    }
  }

  #createRoom(roomId: string): Promise<LocalRoom> {
    const { store, node, largeRoomThreshold, onError } = this.#options;
    const onMemberDetached = (key: string) => void this.#releaseLease(roomId, key);
    return LocalRoom.open({
      roomId,
      store,
      pageCache: this.#pageCache,
      node,
      largeRoomThreshold,
      onError,
      acquireLease: (key) => this.#acquireLease(roomId, key),
      onMemberDetached,
      onMaybeEmpty: (room) => this.#closeIfEmpty(room),
    });
  }

  #closeIfEmpty(room: LocalRoom): void {
    if (!room.isOpen || !room.isEmpty) return;
    this.#rooms.delete(room.roomId);
    room.close();
  }

  /** The member exists already, by another connection or from before a drop; false if they were removed. */
  async #reattachMember(room: LocalRoom, pendingJoin: PendingJoin): Promise<boolean> {
    const { author } = pendingJoin.connection.identity;
    const member = await this.#acquireLease(room.roomId, pendingJoin.key, author);
    return member !== undefined && room.attachMember(pendingJoin, member);
  }

  /** Acquires the lease of an existing member. Undefined if there is none, or it belongs to another author. */
  async #acquireLease(roomId: string, key: string, author?: string): Promise<KeyState | undefined> {
    const member = (await this.#store.read(roomId, { keys: [key] })).keys.get(key);
    const isExpectedAuthor = author === undefined || (member?.value as MemberValue | undefined)?.author === author;
    if (!member || !isExpectedAuthor) return undefined;
    return (await this.#store.acquireLease(roomId, { name: key, seq: member.seq }, this.#options.node)) ? member : undefined;
  }

  /** Retries until it succeeds: otherwise the name would stay reserved as long as this node runs. */
  async #releaseLease(roomId: string, key: string): Promise<void> {
    const { node, graceMs, onError } = this.#options;
    while (!(await this.get(roomId))?.isAttached(key)) {
      try {
        return await this.#store.releaseLease(roomId, key, node, graceMs);
      } catch (error) {
        if (error instanceof StoreError && error.reason === 'closed') return;
        onError(error);
      }
      await new Promise((resolve) => setTimeout(resolve, RELEASE_RETRY_MS));
    }
  }

  #reconcilePortion(): void {
    if (this.#portion === 0) this.#roomsToReconcile = [...this.#rooms.values()];
    for (const opening of this.#roomsToReconcile.splice(
      0,
      Math.ceil(this.#roomsToReconcile.length / (RECONCILE_PORTIONS - this.#portion)),
    )) {
      opening.then((room) => this.#reconcileRoom(room)).catch(this.#options.onError);
    }
    this.#portion = (this.#portion + 1) % RECONCILE_PORTIONS;
  }

  /** Also repeats this node's online count, and drops expired counts of other nodes. */
  async #reconcileRoom(room: LocalRoom): Promise<void> {
    if (!room.isOpen || !room.reconcileInterval.isDue()) return;
    await room.follower.catchUp();
    await room.ephemeralEvents.publish();
    room.ephemeralEvents.refreshCount();
  }
}
