import { randomUUID } from 'node:crypto';
import { LIMITS, type Limits, type Notice } from '@engawa/protocol';
import { type Logger, pino } from 'pino';
import { ABSENCE_MS, GRACE_MS, LeaseKeeper } from './chat/leases.ts';
import { QuotaMonitor } from './chat/quota-monitor.ts';
import { RetentionKeeper, ROUND_MS } from './chat/retention-keeper.ts';
import { ROOM_LIFETIMES, type RoomLifetimes } from './chat/room-lifetimes.ts';
import type { Store } from './store/store.ts';
import type { Address } from './transport/addresses.ts';
import { AnswerMemory } from './transport/answer-memory.ts';
import { authenticate } from './transport/authenticate.ts';
import { receive } from './transport/bind-events.ts';
import { ByteBudget } from './transport/byte-budget.ts';
import { Connection } from './transport/connection.ts';
import { FanOut } from './transport/fan-out.ts';
import { KeyedBuckets } from './transport/keyed-buckets.ts';
import { connectionOf } from './transport/local-room.ts';
import { QuestionQueue } from './transport/question-queue.ts';
import { RateLimitedLog } from './transport/rate-limited-log.ts';
import type { Services } from './transport/services.ts';
import { Turnstile } from './transport/turnstile.ts';
import type { Peer, Wire } from './transport/wire.ts';

/** Milliseconds for what was asked to be done and answered, when the node closes. */
const SETTLE_MS = 10_000;
/** Authors in rooms who said something lately, as far as that is remembered. */
const SPEAKERS = 100_000;
/** Of what was asked and is not begun, all connections together. */
const WAITING_BYTES = 64 * 1024 * 1024;
/** Clients that are told to come back in one millisecond. */
const RETURNS_PER_MS = 1;

export interface NodeOptions {
  store: Store;
  wire: Wire;
  /** Silent when not given. */
  log?: Logger | RateLimitedLog;
  limits?: Limits;
  /** Milliseconds that a guest's name stays his after his connection is gone. */
  grace?: number;
  /** Milliseconds that they stay a member after that, as long as nobody joins under the name. */
  absence?: number;
  /** Milliseconds after which it is looked again what of the logs is not to be kept. */
  trimEvery?: number;
  /** Milliseconds after which the usage of the store is read again. */
  usageEvery?: number;
  lifetimes?: RoomLifetimes;
}

/** What the wire knows of a peer that arrives. */
interface Arriving {
  address?: Address | undefined;
  /** Whether its client knows what to do with the offset of an entry: see `offsets.ts`. */
  takesOffset?: boolean;
}

/** The domain bound to a store and to those who are connected, whatever connects them. */
export class Node {
  readonly services: Services;
  readonly retention: RetentionKeeper;
  /** What all connections have asked and is not begun. */
  readonly #waiting = new ByteBudget(WAITING_BYTES);
  readonly #peers = new Set<Peer>();

  constructor({
    store,
    wire,
    log: given = pino({ level: 'silent' }),
    limits = LIMITS,
    grace = GRACE_MS,
    absence = ABSENCE_MS,
    trimEvery = ROUND_MS,
    usageEvery,
    lifetimes = ROOM_LIFETIMES,
  }: NodeOptions) {
    const node = randomUUID();
    const log = RateLimitedLog.over(given);
    const onError = (error: unknown): undefined => {
      log.error({ err: error }, 'a task in the background failed');
    };
    const { largeRoom } = limits;
    const memory = new AnswerMemory();
    const chats = limits.rates?.chats ? new KeyedBuckets(limits.rates.chats, SPEAKERS) : undefined;
    const fanOut = new FanOut({ wire, store, memory, node, grace, largeRoom, onError });
    const isNeeded = () => fanOut.isAnybodyHere;
    const tellGone = (room: string, username: string) => fanOut.tellGone(room, username);
    const leases = new LeaseKeeper({ store, node, grace, absence, largeRoom, isNeeded, tellGone, onError });
    const followed = () => fanOut.places();
    this.retention = new RetentionKeeper({ store, bounds: limits.retention, lifetimes, followed, every: trimEvery, onError });
    const quotas = new QuotaMonitor({ store, quotas: limits.quotas, every: usageEvery, log: log.beneath, onError });
    const [turnstile, questions] = [new Turnstile(), new QuestionQueue()];
    this.services = { store, wire, fanOut, leases, quotas, turnstile, questions, memory, chats, limits, node, log };
  }

  /** Gives the peer an identity, from what it shows of itself; refuses with a `ChatError`. Not connected yet. */
  admit(peer: Peer, auth: unknown, { address, takesOffset }: Arriving = {}): void {
    const { limits } = this.services;
    peer.data = { connection: new Connection(authenticate(auth), { limits, address, waiting: this.#waiting, takesOffset }) };
  }

  connected(peer: Peer): void {
    this.#peers.add(peer);
  }

  /** Something that the peer sent: the event's name, what it carries, and last the acknowledgement, if there is one. */
  receive(peer: Peer, event: unknown, args: unknown[]): void {
    receive(this.services, peer, event, args);
  }

  async disconnected(peer: Peer): Promise<void> {
    this.#peers.delete(peer);
    await this.services.fanOut.disconnect(peer);
  }

  /** Does and answers what was asked, and tells everybody when to come back. Resolves when their connections may be closed. */
  async settle(): Promise<void> {
    const peers = [...this.#peers];
    for (const peer of peers) {
      const returnAfter = Math.round((Math.random() * peers.length) / RETURNS_PER_MS);
      peer.emit('close:connection', { returnAfter } satisfies Notice<'close:connection'>);
    }
    const late = new Promise((resolve) => setTimeout(resolve, SETTLE_MS).unref());
    await Promise.race([late, Promise.all(peers.map((peer) => connectionOf(peer).settled()))]);
  }

  /** Lets go of every name, and of everything else; the store stays open. */
  async close(): Promise<void> {
    this.services.leases.stop();
    this.services.quotas.close();
    await Promise.all([this.retention.close(), ...[...this.#peers].map((peer) => this.disconnected(peer))]);
    this.services.fanOut.close();
    this.services.log.close();
  }
}
