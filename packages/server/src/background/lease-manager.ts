/** The lease manager: renews the leases of this node's members and expires those of members who are offline. */
import { isLargeRoom, memberCount } from '../domain/command.ts';
import { conditionalAppend } from '../domain/execute-command.ts';
import { draftExpiry } from '../domain/members.ts';
import type { MemberValue } from '../domain/room-keys.ts';
import type { RoomFacts, Store } from '../store/contract.ts';

/** How long a guest's name stays reserved after the connection, or the whole node, is lost. Milliseconds. */
export const GRACE_MS = 30_000;
/** How long the guest stays a member after that, unless another client joins under the name. Milliseconds. */
export const ABSENCE_MS = 24 * 3_600_000;
/** Heartbeats of a node in each grace period. A node without members only looks for expired leases, once in that time. */
const HEARTBEATS_PER_GRACE = 4;
/** Leases that are expired in one round. */
const MAX_EXPIRED_PER_ROUND = 500;

interface LeaseManagerOptions {
  store: Store;
  node: string;
  /** Milliseconds. */
  graceMs: number;
  /** Milliseconds. */
  absenceMs: number;
  /** Rooms with at least this many members are large. */
  largeRoomThreshold: number;
  /** Whether this node has members; without them, it writes no heartbeats. */
  hasLocalMembers: () => boolean;
  /** Announces that a member is offline whose own node could not announce it. */
  announceOffline: (room: string, username: string) => Promise<unknown>;
  onError: (error: unknown) => undefined;
}

/**
 * Renews the leases of the guests of this node, and expires the leases of guests who are offline, on any node. It does not depend
 * on disconnect events: a node that was killed sends no heartbeats, and every other node can see that.
 */
export class LeaseManager {
  readonly #options: LeaseManagerOptions;
  readonly #heartbeatIntervalMs: number;
  readonly #timer: NodeJS.Timeout;
  #lastHeartbeatAt = -Infinity;
  #isRunning = false;
  #round = 0;
  /**
   * Before this time, leases that look expired may belong to nodes that could not reach the store, like this one. Milliseconds of
   * `performance.now()`.
   */
  #expireNotBefore = -Infinity;

  constructor(options: LeaseManagerOptions) {
    this.#options = options;
    this.#heartbeatIntervalMs = options.graceMs / HEARTBEATS_PER_GRACE;
    this.#timer = setInterval(() => void this.#runRound(), this.#heartbeatIntervalMs);
  }

  /** Call this before this node acquires a lease: other nodes must see that it is alive. */
  async ensureHeartbeat(): Promise<void> {
    if (performance.now() - this.#lastHeartbeatAt > 2 * this.#heartbeatIntervalMs) await this.#heartbeat();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * The order matters. A node that could not write, was suspended, or saw the clock jump by more than the grace period would
   * otherwise expire the leases of its own guests. The heartbeat is written to a store that failed even if this node has no
   * members: otherwise nothing would detect that the store works again.
   */
  async #runRound(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { store, hasLocalMembers, onError } = this.#options;
    this.#round += 1;
    const startedAt = performance.now();
    try {
      if (hasLocalMembers() || !store.isWritable) await this.#heartbeat();
      if (hasLocalMembers() || this.#round % HEARTBEATS_PER_GRACE === 0) await this.#expireLeases(startedAt);
    } catch (error) {
      this.#expireNotBefore = Infinity;
      onError(error);
    }
    this.#isRunning = false;
  }

  async #expireLeases(startedAt: number): Promise<void> {
    const { store, graceMs, hasLocalMembers, onError } = this.#options;
    const expired = await store.listExpiredLeases(MAX_EXPIRED_PER_ROUND);
    const now = performance.now();
    if (this.#expireNotBefore === Infinity || now - startedAt > graceMs / 2) this.#expireNotBefore = now + graceMs / 4;
    if (now < this.#expireNotBefore) return;
    // These leases may be our own, if the clock jumped in between. A heartbeat renews them: the conditional append then fails.
    if (expired.length > 0 && hasLocalMembers()) await this.#heartbeat();
    await Promise.all(expired.map((lease) => expireLease(lease, this.#options).catch(onError)));
  }

  async #heartbeat(): Promise<void> {
    const { store, node, graceMs } = this.#options;
    const sentAt = performance.now();
    await store.heartbeat(node, graceMs);
    this.#lastHeartbeatAt = sentAt;
  }
}

/** In a large room, at most this share of the members may be absent ones. */
const MAX_ABSENT_SHARE = 0.5;

type ExpireLeaseOptions = Pick<LeaseManagerOptions, 'store' | 'graceMs' | 'absenceMs' | 'largeRoomThreshold' | 'announceOffline'>;

/**
 * A member whose connection does not return within the grace period stays a member, but another client may take the name: a phone
 * that sleeps is not worth an announcement to the room. The member is removed after too long an absence, or if absent members
 * would make the room large.
 */
async function expireLease(
  { room, key }: { room: string; key: string },
  { store, graceMs, absenceMs, largeRoomThreshold, announceOffline }: ExpireLeaseOptions,
): Promise<void> {
  const facts = await store.read(room, { keys: [key], counts: [''] });
  const leasedKey = facts.keys.get(key);
  if (!leasedKey) return;
  // If another node expired the lease at the same moment, it is not expired again.
  if (leasedKey.lease === 'expired' && !(await store.expireLease(room, key, graceMs))) return;
  const member = leasedKey.value as unknown as MemberValue;
  const canStayMember = leasedKey.lease !== 'expired' && absenceMs > 0 && memberCount(facts) < MAX_ABSENT_SHARE * largeRoomThreshold;
  if (!canStayMember) await removeExpiredMember(store, { room, key, member, facts, largeRoomThreshold });
  else if ((await store.expireLease(room, key, absenceMs)) && leasedKey.lease === 'held') await announceOffline(room, member.username);
}

interface ExpiredMember {
  room: string;
  key: string;
  member: MemberValue;
  facts: RoomFacts;
  largeRoomThreshold: number;
}

/**
 * If the append is stale, the member returned or left at the same moment. If the name is still to be freed, the next round does
 * it.
 */
async function removeExpiredMember(store: Store, { room, key, member, facts, largeRoomThreshold }: ExpiredMember): Promise<void> {
  await store.append(room, conditionalAppend([draftExpiry(key, member, isLargeRoom(facts, largeRoomThreshold))], facts, [key]));
}
