/** Counts what each network address uses of this node, and refuses what is too much. */
import { type AddressLimits, ChatError, type RateLimit } from '@engawa/protocol';
import { networkOf } from '../network/ip-address.ts';
import { Networks } from '../network/ip-networks.ts';
import { AddressBudgets } from './address-budgets.ts';
import { KnownSessions } from './known-sessions.ts';
import { TokenBucket } from './token-bucket.ts';

const FORGET_INTERVAL_MS = 10_000;
/** Idle addresses that are remembered at most. Those that use something are as many as there are connections. */
const MAX_IDLE_ADDRESSES = 20_000;
/** Addresses that are looked at when a new one needs room. */
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
  seats: null,
  waitingBytes: null,
  answerBytes: null,
};

/** What one network address uses. A limit that the operator has lifted has no bucket. */
export class AddressLimiter {
  readonly name: string;
  /** TCP connections. */
  socketCount = 0;
  /** Connections of Socket.IO, also those that are not let in. */
  connectionCount = 0;
  /** Handshakes in the admission queue. */
  queuedHandshakes = 0;
  readonly requests: TokenBucket | undefined;
  readonly connects: TokenBucket | undefined;
  readonly packets: TokenBucket | undefined;
  /** What its connections use once they are in. */
  readonly budgets: AddressBudgets;
  readonly #limits: AddressLimits;
  readonly #sessions: KnownSessions | undefined;
  /** Handshakes that get a connection, be it only to be told why they are not let in. */
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

  /** Takes one more TCP connection, which must be released. False: there are too many, or no request is left to it. */
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
   * Why a handshake is not even answered by a connection that says why. Up to twice its limits an address is told politely,
   * which costs as much as letting it in.
   */
  takeHandshakeToken(): ChatError | undefined {
    const { connections } = this.#limits;
    if (connections !== null && this.connectionCount + this.queuedHandshakes >= 2 * connections)
      return new ChatError('too_many_connections');
    return this.#handshakes?.takeOrError();
  }

  /** Takes one more connection, which must be `disconnected` once, also when it is refused. Answers why it may not come in. */
  addConnection(): ChatError | undefined {
    this.connectionCount += 1;
    if (this.connectionCount > (this.#limits.connections ?? Infinity)) return new ChatError('too_many_connections');
    return this.connects?.takeOrError();
  }

  /**
   * A connection that it has says whose it is, and has been refused so far or not. Answers why it may not come in. Beyond the limit
   * only those come in who have another connection here.
   */
  admit(author: string, refusal: ChatError | undefined): ChatError | undefined {
    const isOverLimit = refusal?.code === 'too_many_connections' && this.#sessions?.canExceedLimit(author) === true;
    const reason = isOverLimit ? this.connects?.takeOrError() : refusal;
    if (!reason) this.#sessions?.add(author, isOverLimit);
    return reason;
  }

  /** `author` is whose it was, when it was let in. */
  removeConnection(author?: string): void {
    this.connectionCount -= 1;
    if (author !== undefined) this.#sessions?.remove(author);
  }

  get isInUse(): boolean {
    return this.socketCount + this.connectionCount + this.queuedHandshakes > 0;
  }

  /** Forgetting it changes nothing. */
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

/** The address of a request, or of a TCP connection that is one client's; undefined before it is counted. */
export const addressLimiterOf = (from: object): AddressLimiter | undefined => (from as WithAddressLimiter)[ADDRESS_LIMITER];

export function setAddressLimiter(from: object, limiter: AddressLimiter): void {
  (from as WithAddressLimiter)[ADDRESS_LIMITER] = limiter;
}

const doubleRate = ({ burst, perSecond }: RateLimit): RateLimit => ({ burst: 2 * burst, perSecond: 2 * perSecond });

interface RegistryOptions {
  limits: AddressLimits;
  /** Networks that have no limits. */
  exemptNetworks?: readonly string[];
  maxIdle?: number;
}

/** What each network address does here, as far as it is limited. */
export class AddressLimiterRegistry {
  readonly #limits: AddressLimits;
  readonly #exemptNetworks: Networks;
  /** One for all that have no limits. */
  readonly #unlimited = new AddressLimiter('exempt', UNLIMITED);
  readonly #maxIdle: number;
  readonly #limiters = new Map<string, AddressLimiter>();
  readonly #timer = setInterval(() => this.#forgetIdle(), FORGET_INTERVAL_MS);

  constructor({ limits, exemptNetworks = [], maxIdle = MAX_IDLE_ADDRESSES }: RegistryOptions) {
    this.#limits = limits;
    this.#exemptNetworks = new Networks(exemptNetworks);
    this.#maxIdle = maxIdle;
  }

  /** Of an IP address. */
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

  /** Forgets the one that was met first and uses nothing now. Those that use something move to the end. */
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
