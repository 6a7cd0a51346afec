/** Maintains channel subscriptions across reconnects and slot migrations. */
import { setTimeout as pause } from 'node:timers/promises';
import { StoreError } from '../contract.ts';
import type { RedisClient } from './redis-client.ts';
import { type ConnectOptions, createConnection } from './redis-connection.ts';

/** How long a call of `subscribe` waits, in milliseconds. */
const SUBSCRIBE_TIMEOUT_MS = 5_000;
const RETRY_DELAY_MS = 200;
/** A server that takes longer to reply is given up: it may be dead without having closed the connection. */
const REPLY_TIMEOUT_MS = 3_000;
/** Channels of one SUBSCRIBE. */
const MAX_BATCH_CHANNELS = 500;
/** How long a connection without subscriptions stays open, in milliseconds: each costs a PING from time to time. */
const IDLE_TIMEOUT_MS = 30_000;

interface SubscriberOptions {
  redis: RedisClient;
  connectOptions: ConnectOptions;
  /** Sharded channels are on the server that has their partition. */
  isSharded: boolean;
  onMessage: (channel: string, message: string) => void;
  /** Messages of these channels may have been lost until now. */
  onGap: (channels: string[]) => void;
}

interface DesiredSubscription {
  partition: number;
  waiters: Set<() => void>;
  /** It was subscribed before. */
  wasSubscribed: boolean;
}

interface SubscriberConnection {
  client: ReturnType<typeof createConnection>;
  connecting: Promise<unknown>;
}

/** A channel as it is subscribed. */
interface ActualSubscription {
  address: string;
  partition: number;
}

/** One command to one server. A cluster refuses one with sharded channels of several partitions. */
interface Batch {
  verb: 'subscribe' | 'unsubscribe';
  address: string;
  /** Of all channels, if they are sharded. */
  partition: number;
  channels: string[];
}

/**
 * Reconciles the actual subscriptions with the wanted ones, on one connection to each server, separate from those for commands.
 * New channels, lost connections and moved partitions are all handled by the same reconciliation.
 */
export class ChannelSubscriber {
  readonly #options: SubscriberOptions;
  readonly #desired = new Map<string, DesiredSubscription>();
  /** Where each channel is subscribed. */
  readonly #actual = new Map<string, ActualSubscription>();
  /** Channels that may differ from what is wanted. */
  readonly #dirty = new Set<string>();
  readonly #connections = new Map<string, SubscriberConnection>();
  /** Servers that have not replied yet. Each is handled separately, so that a server that hangs does not block the others. */
  readonly #pendingServers = new Set<string>();
  readonly #onMessage = (message: string, channel: string) => this.#options.onMessage(channel, message);
  #idleTimer: NodeJS.Timeout | undefined;
  #isScheduled = false;
  #isClosed = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    options.redis.onTopologyChange(() => this.#scheduleReconcile(this.#desired.keys()));
  }

  /** Resolves once messages of the channel are received. */
  async subscribe(channel: string, partition: number): Promise<void> {
    const desired = this.#desired.get(channel) ?? { partition, waiters: new Set(), wasSubscribed: false };
    this.#desired.set(channel, desired);
    if (this.#actual.has(channel)) return;
    await new Promise<void>((resolve, reject) => {
      const onSubscribed = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        desired.waiters.delete(onSubscribed);
        reject(new StoreError('busy', 'Redis does not accept subscriptions at present.'));
      }, SUBSCRIBE_TIMEOUT_MS);
      desired.waiters.add(onSubscribed);
      this.#scheduleReconcile([channel]);
    });
  }

  unsubscribe(channel: string): void {
    if (this.#desired.delete(channel)) this.#scheduleReconcile([channel]);
    if (this.#desired.size > 0) return;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.#desired.size === 0 && this.#disconnectAll(), IDLE_TIMEOUT_MS).unref();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#idleTimer);
    this.#disconnectAll();
  }

  #disconnectAll(): void {
    for (const address of [...this.#connections.keys()]) this.#disconnect(address);
  }

  /** Batches the requests of one turn of the event loop into one command. */
  #scheduleReconcile(channels: Iterable<string>): void {
    for (const channel of channels) this.#dirty.add(channel);
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      const batches = this.#takeBatches();
      for (const server of new Set(batches.map(({ address }) => address)))
        void this.#reconcileServer(
          server,
          batches.filter(({ address }) => address === server),
        );
    });
  }

  /** Channels of servers that have not replied yet stay dirty. */
  #takeBatches(): Batch[] {
    const batches = new Map<string, Batch>();
    const add = (verb: Batch['verb'], address: string, channel: string, partition: number): boolean => {
      if (this.#pendingServers.has(address)) return false;
      const name = `${verb} ${address} ${this.#options.isSharded ? partition : ''}`;
      const batch = batches.get(name) ?? { verb, address, partition, channels: [] };
      if (batch.channels.push(channel) === MAX_BATCH_CHANNELS) batches.set(`${name} ${batches.size}`, batch).delete(name);
      else batches.set(name, batch);
      return true;
    };
    for (const channel of this.#dirty) {
      const [desired, actual] = [this.#desired.get(channel), this.#actual.get(channel)];
      const address = desired && this.#options.redis.addressOf(desired.partition);
      const isInPlace = actual?.address === address;
      const isOldHandled = !actual || isInPlace || add('unsubscribe', actual.address, channel, actual.partition);
      const isNewHandled = !desired || address === undefined || isInPlace || add('subscribe', address, channel, desired.partition);
      if (desired && actual && isInPlace) this.#resolveWaiters(desired);
      if (isOldHandled && isNewHandled) this.#dirty.delete(channel);
    }
    return [...batches.values()];
  }

  async #reconcileServer(address: string, batches: Batch[]): Promise<void> {
    this.#pendingServers.add(address);
    const failures = (await Promise.all(batches.map((batch) => this.#applyBatch(batch)))).filter(Boolean);
    // Connections that `close` ended are not failures.
    if (failures.length > 0 && !this.#isClosed) {
      this.#options.connectOptions.onError(failures[0]);
      this.#disconnect(address);
      await pause(RETRY_DELAY_MS);
      await this.#options.redis.refreshTopology().catch(() => undefined);
    }
    this.#pendingServers.delete(address);
    this.#scheduleReconcile([]);
  }

  /** Resolves with the error, if any. */
  async #applyBatch({ verb, address, partition, channels }: Batch): Promise<unknown> {
    const { isSharded } = this.#options;
    try {
      if (verb === 'unsubscribe') {
        for (const channel of channels) if (this.#actual.get(channel)?.address === address) this.#actual.delete(channel);
        const client = this.#connections.get(address)?.client;
        if (client?.isReady) await withReplyTimeout(isSharded ? client.sUnsubscribe(channels) : client.unsubscribe(channels));
        return undefined;
      }
      const { client, connecting } = this.#connectionFor(address);
      await withReplyTimeout(connecting);
      await withReplyTimeout(isSharded ? client.sSubscribe(channels, this.#onMessage) : client.subscribe(channels, this.#onMessage));
      if (!client.isOpen) throw new Error(`The connection to ${address} was lost.`);
      this.#markSubscribed(channels, { address, partition });
      return undefined;
    } catch (error) {
      // A failed unsubscribe is not retried.
      if (verb === 'subscribe') for (const channel of channels) this.#dirty.add(channel);
      return error;
    }
  }

  #markSubscribed(channels: string[], subscription: ActualSubscription): void {
    const resubscribed: string[] = [];
    for (const channel of channels) {
      // The channel may be subscribed on another server meanwhile, because its partition moved.
      if (this.#actual.has(channel)) this.#dirty.add(channel);
      this.#actual.set(channel, subscription);
      const desired = this.#desired.get(channel);
      if (!desired) {
        this.#dirty.add(channel);
        continue;
      }
      if (desired.wasSubscribed) resubscribed.push(channel);
      desired.wasSubscribed = true;
      this.#resolveWaiters(desired);
    }
    if (resubscribed.length > 0) this.#options.onGap(resubscribed);
  }

  #resolveWaiters({ waiters }: DesiredSubscription): void {
    for (const resolve of waiters) resolve();
    waiters.clear();
  }

  #connectionFor(address: string): SubscriberConnection {
    const known = this.#connections.get(address);
    if (known) return known;
    const client = createConnection({ ...this.#options.connectOptions, isSingleUse: true, isSubscriber: true }, address);
    const connection: SubscriberConnection = { client, connecting: client.connect() };
    this.#connections.set(address, connection);
    const onLost = () => {
      if (this.#connections.get(address) === connection) this.#disconnect(address);
    };
    client.once('error', onLost).once('end', onLost).once('terminated', onLost);
    client.on('sharded-channel-moved', (channel: string) => {
      if (this.#actual.get(channel)?.address === address) this.#actual.delete(channel);
      void this.#options.redis
        .refreshTopology()
        .catch(this.#options.connectOptions.onError)
        .finally(() => this.#scheduleReconcile([channel]));
    });
    connection.connecting.catch(onLost);
    return connection;
  }

  /** All channels of this server must be subscribed again. */
  #disconnect(address: string): void {
    const client = this.#connections.get(address)?.client;
    this.#connections.delete(address);
    if (client?.isOpen) client.destroy();
    const channels = [...this.#actual].flatMap(([channel, at]) => (at.address === address ? [channel] : []));
    for (const channel of channels) this.#actual.delete(channel);
    this.#scheduleReconcile(channels);
  }
}

async function withReplyTimeout<Result>(reply: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('A Redis server does not reply on its subscription connection.')), REPLY_TIMEOUT_MS);
  });
  return Promise.race([reply, timeout]).finally(() => clearTimeout(timer));
}
