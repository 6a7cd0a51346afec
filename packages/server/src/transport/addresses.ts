/** Counts what each network address uses of this node, and refuses what is too much. */
import { type AddressLimits, ChatError, type Rate } from '@engawa/protocol';
import { AddressBudgets } from './address-budgets.ts';
import { networkOf } from './ip-address.ts';
import { KnownSessions } from './known-sessions.ts';
import { Networks } from './networks.ts';
import { Bucket } from './rates.ts';

const FORGET_MS = 10_000;
/** Idle addresses that are remembered at most. Those that use something are as many as there are connections. */
const MOST_IDLE = 20_000;
/** Addresses that are looked at when a new one needs room. */
const LOOKED_AT = 8;

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
export class Address {
  readonly name: string;
  /** TCP connections. */
  sockets = 0;
  /** Connections of Socket.IO, also those that are not let in. */
  connections = 0;
  /** Handshakes in the admission queue. */
  waiting = 0;
  readonly requests: Bucket | undefined;
  readonly connects: Bucket | undefined;
  readonly packets: Bucket | undefined;
  /** What its connections use once they are in. */
  readonly budgets: AddressBudgets;
  readonly #limits: AddressLimits;
  readonly #sessions: KnownSessions | undefined;
  /** Handshakes that get a connection, be it only to be told why they are not let in. */
  readonly #handshakes: Bucket | undefined;
  readonly #buckets: Bucket[] = [];

  constructor(name: string, limits: AddressLimits) {
    this.name = name;
    this.#limits = limits;
    this.#sessions = limits.connections === null ? undefined : new KnownSessions();
    this.requests = this.#bucket(limits.requests);
    this.connects = this.#bucket(limits.connects);
    this.packets = this.#bucket(limits.packets);
    this.budgets = new AddressBudgets(limits);
    this.#handshakes = this.#bucket(limits.connects && twice(limits.connects));
  }

  /** Takes one more TCP connection, which must be released. False: there are too many, or no request is left to it. */
  takeSocket(): boolean {
    if (this.sockets >= (this.#limits.sockets ?? Infinity) || this.requests?.has() === false) return false;
    this.sockets += 1;
    return true;
  }

  get countsSockets(): boolean {
    return this.#limits.sockets !== null;
  }

  releaseSocket(): void {
    this.sockets -= 1;
  }

  /**
   * Why a handshake is not even answered by a connection that says why. Up to twice its limits an address is told politely,
   * which costs as much as letting it in.
   */
  refuseHandshake(): ChatError | undefined {
    const { connections } = this.#limits;
    if (connections !== null && this.connections + this.waiting >= 2 * connections) return new ChatError('too_many_connections');
    return this.#handshakes?.refusal();
  }

  /** Takes one more connection, which must be `disconnected` once, also when it is refused. Answers why it may not come in. */
  connected(): ChatError | undefined {
    this.connections += 1;
    if (this.connections > (this.#limits.connections ?? Infinity)) return new ChatError('too_many_connections');
    return this.connects?.refusal();
  }

  /**
   * A connection that it has says whose it is, and has been refused so far or not. Answers why it may not come in. Beyond the limit
   * only those come in who have another connection here.
   */
  admit(author: string, refusal: ChatError | undefined): ChatError | undefined {
    const isBeyond = refusal?.code === 'too_many_connections' && this.#sessions?.mayExceed(author) === true;
    const reason = isBeyond ? this.connects?.refusal() : refusal;
    if (!reason) this.#sessions?.came(author, isBeyond);
    return reason;
  }

  /** `author` is whose it was, when it was let in. */
  disconnected(author?: string): void {
    this.connections -= 1;
    if (author !== undefined) this.#sessions?.left(author);
  }

  get isUsed(): boolean {
    return this.sockets + this.connections + this.waiting > 0;
  }

  /** Forgetting it changes nothing. */
  get isIdle(): boolean {
    return !this.isUsed && this.budgets.isIdle && this.#buckets.every((bucket) => bucket.isFull());
  }

  #bucket(rate: Rate | null): Bucket | undefined {
    if (rate === null) return undefined;
    const bucket = new Bucket(rate);
    this.#buckets.push(bucket);
    return bucket;
  }
}

const ADDRESS = Symbol('address');
type Addressed = { [ADDRESS]?: Address };

/** The address of a request, or of a TCP connection that is one client's; undefined before it is counted. */
export const addressOf = (from: object): Address | undefined => (from as Addressed)[ADDRESS];

export function setAddress(from: object, address: Address): void {
  (from as Addressed)[ADDRESS] = address;
}

const twice = ({ burst, perSecond }: Rate): Rate => ({ burst: 2 * burst, perSecond: 2 * perSecond });

interface AddressesOptions {
  limits: AddressLimits;
  /** Networks that have no limits. */
  exempt?: readonly string[];
  mostIdle?: number;
}

/** What each network address does here, as far as it is limited. */
export class Addresses {
  readonly #limits: AddressLimits;
  readonly #exempt: Networks;
  /** One for all that have no limits. */
  readonly #unlimited = new Address('exempt', UNLIMITED);
  readonly #mostIdle: number;
  readonly #known = new Map<string, Address>();
  readonly #timer = setInterval(() => this.#forgetIdle(), FORGET_MS);

  constructor({ limits, exempt = [], mostIdle = MOST_IDLE }: AddressesOptions) {
    this.#limits = limits;
    this.#exempt = new Networks(exempt);
    this.#mostIdle = mostIdle;
  }

  /** Of an IP address. */
  of(ip: string): Address {
    if (this.#exempt.has(ip)) return this.#unlimited;
    const name = networkOf(ip);
    return this.#known.get(name) ?? this.#meet(name);
  }

  get size(): number {
    return this.#known.size;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #meet(name: string): Address {
    if (this.#known.size >= this.#mostIdle) this.#makeRoom();
    const address = new Address(name, this.#limits);
    this.#known.set(name, address);
    return address;
  }

  /** Forgets the one that was met first and uses nothing now. Those that use something move to the end. */
  #makeRoom(): void {
    for (let looked = 0; looked < LOOKED_AT; looked += 1) {
      const [first] = this.#known;
      if (!first) return;
      const [name, address] = first;
      this.#known.delete(name);
      if (!address.isUsed) return;
      this.#known.set(name, address);
    }
  }

  #forgetIdle(): void {
    for (const [name, address] of this.#known) if (address.isIdle) this.#known.delete(name);
  }
}
