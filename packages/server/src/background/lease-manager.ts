import { isLargeRoom, memberCount } from '../domain/command.ts';
import { conditionalAppend } from '../domain/execute-command.ts';
import { draftExpiry } from '../domain/members.ts';
import type { MemberValue } from '../domain/room-keys.ts';
import type { RoomFacts, Store } from '../store/contract.ts';

/** How long a guest's name stays his after his connection, or the whole node, is gone. */
export const GRACE_MS = 30_000;
/** How long they stay a member after that, as long as nobody joins under the name. */
export const ABSENCE_MS = 24 * 3_600_000;
/** How often in that time a node says that it is here, and looks who is not. Where nobody is connected, it only looks, once. */
const HEARTBEATS_PER_GRACE = 4;
/** Names that are freed at a time. */
const MAX_EXPIRED_PER_ROUND = 500;

interface LeaseManagerOptions {
  store: Store;
  node: string;
  /** Milliseconds. */
  graceMs: number;
  /** Milliseconds. */
  absenceMs: number;
  /** Members from which on a room is large. */
  largeRoomThreshold: number;
  /** Whether somebody on this node holds a name; without, nothing is written. */
  hasLocalMembers: () => boolean;
  /** The room is to hear that a member is gone, whose node could not say so. */
  announceOffline: (room: string, username: string) => Promise<unknown>;
  onError: (error: unknown) => undefined;
}

/**
 * Keeps the names of this node's guests, and lets those of guests lapse who are gone, whichever node they were on. No
 * disconnect is trusted to be heard: a node that was killed stops beating, and any other sees it.
 */
export class LeaseManager {
  readonly #options: LeaseManagerOptions;
  readonly #heartbeatIntervalMs: number;
  readonly #timer: NodeJS.Timeout;
  #lastHeartbeatAt = -Infinity;
  #isRunning = false;
  #round = 0;
  /** Before, those that seem to be gone may have been cut off from the store as this node was. */
  #expireNotBefore = -Infinity;

  constructor(options: LeaseManagerOptions) {
    this.#options = options;
    this.#heartbeatIntervalMs = options.graceMs / HEARTBEATS_PER_GRACE;
    this.#timer = setInterval(() => void this.#runRound(), this.#heartbeatIntervalMs);
  }

  /** Before this node takes a name: others must know that it is alive. */
  async ensureHeartbeat(): Promise<void> {
    if (performance.now() - this.#lastHeartbeatAt > 2 * this.#heartbeatIntervalMs) await this.#heartbeat();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * In this order: a node that could not write, was stopped, or saw the clock jump for longer than the grace would else
   * take its own guests for gone. A store that failed is written to even if nobody is here: else nobody would learn that
   * it works again.
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
    // These may be our own, if the clock jumped in between: who is back by the append that frees him is not freed.
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

/** Of the members of a large room so many may be such as are long gone. */
const MAX_ABSENT_SHARE = 0.5;

type ExpireLeaseOptions = Pick<LeaseManagerOptions, 'store' | 'graceMs' | 'absenceMs' | 'largeRoomThreshold' | 'announceOffline'>;

/**
 * Whose connection does not come back for longer than the grace is a member still, but for who wants the name: a phone that sleeps
 * is no news. They leave when they are away for too long, and where so many members are that the absent would make a room large.
 */
async function expireLease(
  { room, key }: { room: string; key: string },
  { store, graceMs, absenceMs, largeRoomThreshold, announceOffline }: ExpireLeaseOptions,
): Promise<void> {
  const facts = await store.read(room, { keys: [key], counts: [''] });
  const leasedKey = facts.keys.get(key);
  if (!leasedKey) return;
  // It has not run out again where another node set it aside in this moment.
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

/** Stale means that somebody came back, or left, in this moment; if the name is still to be freed, the next look sees it. */
async function removeExpiredMember(store: Store, { room, key, member, facts, largeRoomThreshold }: ExpiredMember): Promise<void> {
  await store.append(room, conditionalAppend([draftExpiry(key, member, isLargeRoom(facts, largeRoomThreshold))], facts, [key]));
}
