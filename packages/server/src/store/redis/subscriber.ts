import { setTimeout as pause } from 'node:timers/promises';
import { StoreError } from '../store.ts';
import { type Dialling, dial } from './connection.ts';
import type { Nodes } from './nodes.ts';

/** How long somebody who subscribes waits. */
const PATIENCE_MS = 5_000;
const AGAIN_MS = 200;
/** A server that takes longer to answer is given up, for it may be dead without having said so. */
const ANSWER_MS = 3_000;
/** Channels of one SUBSCRIBE. */
const BATCH = 500;
/** A connection that nobody listens on is kept for so long, since it costs a PING now and then. */
const UNUSED_MS = 30_000;

interface Subscribing {
  nodes: Nodes;
  dialling: Dialling;
  /** Sharded channels stay on the server that has their partition. */
  isSharded: boolean;
  heard: (channel: string, message: string) => void;
  /** What was said in these channels until now may not have been heard. */
  missed: (channels: string[]) => void;
}

interface Wanted {
  partition: number;
  whenThere: Set<() => void>;
  /** It was subscribed before. */
  isAgain: boolean;
}

interface Line {
  client: ReturnType<typeof dial>;
  opened: Promise<unknown>;
}

/** What one server is to be asked. */
interface Batch {
  verb: 'subscribe' | 'unsubscribe';
  address: string;
  channels: string[];
}

/**
 * Keeps what is subscribed as it is wanted: one connection to each server, apart from those for commands. Whether
 * somebody asks for a channel, a connection was lost, or a partition has moved: there is one way to come there.
 */
export class Subscriber {
  readonly #subscribing: Subscribing;
  readonly #wanted = new Map<string, Wanted>();
  /** Where each channel is subscribed. */
  readonly #actual = new Map<string, string>();
  /** Channels of which one may not be like the other. */
  readonly #dirty = new Set<string>();
  readonly #lines = new Map<string, Line>();
  /** Servers that have not answered yet. Each is asked by itself: one that stands still keeps nobody from the others. */
  readonly #asked = new Set<string>();
  readonly #hear = (message: string, channel: string) => this.#subscribing.heard(channel, message);
  #unused: NodeJS.Timeout | undefined;
  #isDue = false;
  #isClosed = false;

  constructor(subscribing: Subscribing) {
    this.#subscribing = subscribing;
    subscribing.nodes.onChanged(() => this.#settle(this.#wanted.keys()));
  }

  /** Resolves once messages of the channel are heard. */
  async subscribe(channel: string, partition: number): Promise<void> {
    const wanted = this.#wanted.get(channel) ?? { partition, whenThere: new Set(), isAgain: false };
    this.#wanted.set(channel, wanted);
    if (this.#actual.has(channel)) return;
    await new Promise<void>((resolve, reject) => {
      const isThere = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        wanted.whenThere.delete(isThere);
        reject(new StoreError('busy', 'Redis cannot be subscribed to now.'));
      }, PATIENCE_MS);
      wanted.whenThere.add(isThere);
      this.#settle([channel]);
    });
  }

  unsubscribe(channel: string): void {
    if (this.#wanted.delete(channel)) this.#settle([channel]);
    if (this.#wanted.size > 0) return;
    clearTimeout(this.#unused);
    this.#unused = setTimeout(() => this.#wanted.size === 0 && this.#hangUpAll(), UNUSED_MS).unref();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#unused);
    this.#hangUpAll();
  }

  #hangUpAll(): void {
    for (const address of [...this.#lines.keys()]) this.#hangUp(address);
  }

  /** What is asked for in the same turn goes in one command. */
  #settle(channels: Iterable<string>): void {
    for (const channel of channels) this.#dirty.add(channel);
    if (this.#isDue || this.#isClosed) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      const batches = this.#takeBatches();
      for (const to of new Set(batches.map(({ address }) => address)))
        void this.#ask(
          to,
          batches.filter(({ address }) => address === to),
        );
    });
  }

  /** Channels of servers that have not answered yet stay dirty. */
  #takeBatches(): Batch[] {
    const batches = new Map<string, Batch>();
    const add = (verb: Batch['verb'], address: string, channel: string, partition: number | undefined): boolean => {
      if (this.#asked.has(address)) return false;
      const name = `${verb} ${address} ${this.#subscribing.isSharded ? partition : ''}`;
      const batch = batches.get(name) ?? { verb, address, channels: [] };
      if (batch.channels.push(channel) === BATCH) batches.set(`${name} ${batches.size}`, batch).delete(name);
      else batches.set(name, batch);
      return true;
    };
    for (const channel of this.#dirty) {
      const [wanted, actual] = [this.#wanted.get(channel), this.#actual.get(channel)];
      const address = wanted && this.#subscribing.nodes.addressOf(wanted.partition);
      const isLeft = actual === undefined || actual === address || add('unsubscribe', actual, channel, undefined);
      const isTaken = address === undefined || actual === address || add('subscribe', address, channel, wanted?.partition);
      if (wanted && actual !== undefined && actual === address) this.#isThere(wanted);
      if (isLeft && isTaken) this.#dirty.delete(channel);
    }
    return [...batches.values()];
  }

  async #ask(address: string, batches: Batch[]): Promise<void> {
    this.#asked.add(address);
    const failures = (await Promise.all(batches.map((batch) => this.#apply(batch)))).filter(Boolean);
    // What we cut off ourselves at the end is no failure.
    if (failures.length > 0 && !this.#isClosed) {
      this.#subscribing.dialling.onError(failures[0]);
      this.#hangUp(address);
      await pause(AGAIN_MS);
      await this.#subscribing.nodes.look().catch(() => undefined);
    }
    this.#asked.delete(address);
    this.#settle([]);
  }

  /** Answers what went wrong. */
  async #apply({ verb, address, channels }: Batch): Promise<unknown> {
    const { isSharded } = this.#subscribing;
    try {
      if (verb === 'unsubscribe') {
        for (const channel of channels) if (this.#actual.get(channel) === address) this.#actual.delete(channel);
        const client = this.#lines.get(address)?.client;
        if (client?.isReady) await answered(isSharded ? client.sUnsubscribe(channels) : client.unsubscribe(channels));
        return undefined;
      }
      const { client, opened } = this.#lineTo(address);
      await answered(opened);
      await answered(isSharded ? client.sSubscribe(channels, this.#hear) : client.subscribe(channels, this.#hear));
      if (!client.isOpen) throw new Error(`The connection to ${address} was lost.`);
      this.#areThere(channels, address);
      return undefined;
    } catch (error) {
      // To stop hearing what nobody wants is worth no second try.
      if (verb === 'subscribe') for (const channel of channels) this.#dirty.add(channel);
      return error;
    }
  }

  #areThere(channels: string[], address: string): void {
    const again: string[] = [];
    for (const channel of channels) {
      // Meanwhile it may be subscribed elsewhere, where it has moved to.
      if (this.#actual.has(channel)) this.#dirty.add(channel);
      this.#actual.set(channel, address);
      const wanted = this.#wanted.get(channel);
      if (!wanted) {
        this.#dirty.add(channel);
        continue;
      }
      if (wanted.isAgain) again.push(channel);
      wanted.isAgain = true;
      this.#isThere(wanted);
    }
    if (again.length > 0) this.#subscribing.missed(again);
  }

  #isThere({ whenThere }: Wanted): void {
    for (const tell of whenThere) tell();
    whenThere.clear();
  }

  #lineTo(address: string): Line {
    const known = this.#lines.get(address);
    if (known) return known;
    const client = dial({ ...this.#subscribing.dialling, isOnce: true, isListening: true }, address);
    const line: Line = { client, opened: client.connect() };
    this.#lines.set(address, line);
    const isLost = () => {
      if (this.#lines.get(address) === line) this.#hangUp(address);
    };
    client.once('error', isLost).once('end', isLost).once('terminated', isLost);
    client.on('sharded-channel-moved', (channel: string) => {
      if (this.#actual.get(channel) === address) this.#actual.delete(channel);
      void this.#subscribing.nodes
        .look()
        .catch(this.#subscribing.dialling.onError)
        .finally(() => this.#settle([channel]));
    });
    line.opened.catch(isLost);
    return line;
  }

  /** All its channels are to be subscribed again. */
  #hangUp(address: string): void {
    const client = this.#lines.get(address)?.client;
    this.#lines.delete(address);
    if (client?.isOpen) client.destroy();
    const channels = [...this.#actual].flatMap(([channel, at]) => (at === address ? [channel] : []));
    for (const channel of channels) this.#actual.delete(channel);
    this.#settle(channels);
  }
}

async function answered<Answer>(answer: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('A Redis that is to be listened to does not answer.')), ANSWER_MS);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
