/** Counts what each network address uses of this node, and refuses what exceeds its limits. */
import { type AddressLimits, ChatError, type RateLimit } from '@engawa/protocol';
import { networkOf } from '../network/ip-address.ts';
import { Networks } from '../network/ip-networks.ts';
import { AddressBudgets } from './address-budgets.ts';
import { KnownSessions } from './known-sessions.ts';
import { TokenBucket } from './token-bucket.ts';

const FORGET_INTERVAL_MS = 10_000;
/** Largest number of idle addresses in memory. The number of active ones is bounded by the connections. */
const MAX_IDLE_ADDRESSES = 20_000;
/** Addresses that are checked for eviction when a new one needs space. */
const MAX_EVICTION_CHECKS = 8;

export const UNLIMITED: AddressLimits = {
  sockets: null,
  requests: null,
  connections: null,
  connects: null,
  packets: null,
  rooms: null,
  bytes: null,
  resumes: null,
  joins: null,
  roomJoins: null,
  membersPerRoom: null,
  memberships: null,
  waitingBytes: null,
  responseBytes: null,
};

/** The usage of one network address. A limit that the operator removed has no bucket. */
export class AddressLimiter {
  readonly name: string;
  /** TCP connections. */
  socketCount = 0;
  /** Socket.IO connections, including those that will be refused. */
  connectionCount = 0;
  /** Handshakes in the admission queue. */
  queuedHandshakes = 0;
  readonly requests: TokenBucket | undefined;
  readonly connects: TokenBucket | undefined;
  readonly packets: TokenBucket | undefined;
  /** Shared budgets of the admitted connections. */
  readonly budgets: AddressBudgets;
  readonly #limits: AddressLimits;
  readonly #sessions: KnownSessions | undefined;
  /** Handshakes that get a connection, if only to receive an error. */
  readonly #handshakes: TokenBucket | undefined;
  readonly #buckets: TokenBucket[] = [];

  constructor(name: string, limits: AddressLimits) {
    this.name = name;
    this.#limits = limits;
    this.#sessions = limits.connections === null ? undefined : new KnownSessions();
    this.requests = this.#createBucket(limits.requests);
    this.connects = this.#createBucket(limits.connects);
    this.packets = this.#createBucket(limits.packets);
    this.budgets = new AddressBudgets(limits);
    this.#handshakes = this.#createBucket(limits.connects && doubleRate(limits.connects));
  }

  /** Counts one more TCP connection, which must be released later. False if there are too many, or no request token is left. */
  tryTakeSocket(): boolean {
    if (this.socketCount >= (this.#limits.sockets ?? Infinity) || this.requests?.hasTokens() === false) return false;
    this.socketCount += 1;
    return true;
  }

  get hasSocketLimit(): boolean {
    return this.#limits.sockets !== null;
  }

  releaseSocket(): void {
    this.socketCount -= 1;
  }

  /**
   * Returns an error if the handshake is refused without a connection. Up to twice its limits, an address gets connections that
   * only receive the error, which costs as much as admitting them.
   */
  takeHandshakeToken(): ChatError | undefined {
    const { connections } = this.#limits;
    if (connections !== null && this.connectionCount + this.queuedHandshakes >= 2 * connections)
      return new ChatError('too_many_connections');
    return this.#handshakes?.takeOrError();
  }

  /**
   * Counts one more connection, also if it is refused; `removeConnection` must be called once for each. Returns the error that
   * refuses it.
   */
  addConnection(): ChatError | undefined {
    this.connectionCount += 1;
    if (this.connectionCount > (this.#limits.connections ?? Infinity)) return new ChatError('too_many_connections');
    return this.connects?.takeOrError();
  }

  /**
   * Admits a counted connection once its author is known. `refusal` is the error of `addConnection`. Beyond the limit, a
   * connection is admitted only if its author has another one at this address. Returns the error that refuses it.
   */
  admit(author: string, refusal: ChatError | undefined): ChatError | undefined {
    const isOverLimit = refusal?.code === 'too_many_connections' && this.#sessions?.canExceedLimit(author) === true;
    const reason = isOverLimit ? this.connects?.takeOrError() : refusal;
    if (!reason) this.#sessions?.add(author, isOverLimit);
    return reason;
  }

  /** `author`: of an admitted connection. */
  removeConnection(author?: string): void {
    this.connectionCount -= 1;
    if (author !== undefined) this.#sessions?.remove(author);
  }

  get isInUse(): boolean {
    return this.socketCount + this.connectionCount + this.queuedHandshakes > 0;
  }

  /** Whether this object can be dropped without losing state. */
  get isIdle(): boolean {
    return !this.isInUse && this.budgets.isIdle && this.#buckets.every((bucket) => bucket.isFull());
  }

  #createBucket(rate: RateLimit | null): TokenBucket | undefined {
    if (rate === null) return undefined;
    const bucket = new TokenBucket(rate);
    this.#buckets.push(bucket);
    return bucket;
  }
}

const ADDRESS_LIMITER = Symbol('address');
type WithAddressLimiter = { [ADDRESS_LIMITER]?: AddressLimiter };

/** The limiter of a request, or of a TCP connection of one client; undefined before it is counted. */
export const addressLimiterOf = (from: object): AddressLimiter | undefined => (from as WithAddressLimiter)[ADDRESS_LIMITER];

export function setAddressLimiter(from: object, limiter: AddressLimiter): void {
  (from as WithAddressLimiter)[ADDRESS_LIMITER] = limiter;
}

const doubleRate = ({ burst, perSecond }: RateLimit): RateLimit => ({ burst: 2 * burst, perSecond: 2 * perSecond });

interface RegistryOptions {
  limits: AddressLimits;
  /** Networks without limits. */
  exemptNetworks?: readonly string[];
  maxIdle?: number;
}

/** The limiters of all network addresses. */
export class AddressLimiterRegistry {
  readonly #limits: AddressLimits;
  readonly #exemptNetworks: Networks;
  /** Shared by all exempt addresses. */
  readonly #unlimited = new AddressLimiter('exempt', UNLIMITED);
  readonly #maxIdle: number;
  readonly #limiters = new Map<string, AddressLimiter>();
  readonly #timer = setInterval(() => this.#forgetIdle(), FORGET_INTERVAL_MS);

  constructor({ limits, exemptNetworks = [], maxIdle = MAX_IDLE_ADDRESSES }: RegistryOptions) {
    this.#limits = limits;
    this.#exemptNetworks = new Networks(exemptNetworks);
    this.#maxIdle = maxIdle;
  }

  /** The limiter of an IP address. */
  get(ip: string): AddressLimiter {
    if (this.#exemptNetworks.has(ip)) return this.#unlimited;
    const name = networkOf(ip);
    return this.#limiters.get(name) ?? this.#create(name);
  }

  get size(): number {
    return this.#limiters.size;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #create(name: string): AddressLimiter {
    if (this.#limiters.size >= this.#maxIdle) this.#evictOne();
    const limiter = new AddressLimiter(name, this.#limits);
    this.#limiters.set(name, limiter);
    return limiter;
  }

  /** Drops the oldest limiter that is not in use. Limiters in use move to the end. */
  #evictOne(): void {
    for (let checked = 0; checked < MAX_EVICTION_CHECKS; checked += 1) {
      const [first] = this.#limiters;
      if (!first) return;
      const [name, limiter] = first;
      this.#limiters.delete(name);
      if (!limiter.isInUse) return;
      this.#limiters.set(name, limiter);
    }
  }

  #forgetIdle(): void {
    for (const [name, limiter] of this.#limiters) if (limiter.isIdle) this.#limiters.delete(name);
  }
}
