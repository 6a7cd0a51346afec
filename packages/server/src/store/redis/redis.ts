import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type Append,
  type Appended,
  type Ask,
  type Durability,
  type Facts,
  forkOf,
  type Json,
  type Kept,
  type Key,
  type Listener,
  type Page,
  type PageAsk,
  type Parcel,
  pageBytes,
  type Store,
  StoreError,
  type Ticket,
  type Told,
  type Usage,
} from '../store.ts';
import { Subscriptions } from '../subscriptions.ts';
import { Appends } from './appends.ts';
import { Confirmations } from './confirmations.ts';
import type { Dialling, Link, Reply } from './connection.ts';
import { Directory } from './directory.ts';
import { type Findings, inspect, isAtLeast, usedMemory } from './findings.ts';
import { Keys, type RoomKeys } from './keys.ts';
import { Lately } from './lately.ts';
import { Leases } from './leases.ts';
import { type Level, levelOf } from './levels.ts';
import { Nodes } from './nodes.ts';
import { keysIn, Parcels } from './parcels.ts';
import { readFacts } from './reads.ts';
import { type Script, scripts } from './scripts.ts';
import { Subscriber } from './subscriber.ts';
import type { Surroundings } from './surroundings.ts';
import { parseTarget, prefixIn } from './target.ts';
import { keptIn, type News, pageIn, toldIn } from './texts.ts';
import { Tickets } from './tickets.ts';

/** Rooms that are told at a time that something may have been missed, so that not all read at once. */
const MISSED_AT_ONCE = 200;
const MISSED_EVERY_MS = 20;
const AGAIN_MS = 1_000;
/** How long an append waits for its hints. */
const HINT_MS = 500;
/** Servers whose clocks differ, and news that were lost until somebody looked into the log. */
const TICK_SKEW_MS = 90_000;
/** Entries, and keys beneath them, that one call of the script takes away. */
const TRIM_ROWS = 500;

export { describe, evicts, warningsOf } from './findings.ts';

export type RedisDurability = Level['durability'];

export interface RedisOptions {
  url: string;
  /** Begins the name of every key and channel, unless the URL says another one. */
  prefix?: string;
  durability?: RedisDurability;
  /** Certificates of authorities to trust beside those that Node knows. */
  ca?: string;
  /** For tests. */
  clock?: () => number;
  onError?: (error: unknown) => void;
}

export interface RedisStore extends Store {
  /** What kind of Redis it is, and what of it may lose data. */
  readonly findings: Findings;
}

/** The Redis engine: see keys.ts for what is kept where. Rejects when there is no Redis, or one that cannot be used. */
export async function openRedis({
  url,
  prefix = 'engawa',
  durability = 'fast',
  ca,
  clock,
  onError = () => undefined,
}: RedisOptions): Promise<RedisStore> {
  const target = parseTarget(url);
  const dialling: Dialling = { target, ca, onError };
  const nodes = await Nodes.open(dialling);
  try {
    const findings = await inspect(nodes, dialling);
    const level = levelOf(durability, findings);
    const keys = new Keys(target.prefix ?? prefixIn(prefix));
    const isSharded = nodes.isCluster && isAtLeast(findings.version, 7, 0);
    await tryOut(nodes, keys, isSharded);
    const writes = level.command ? await Nodes.open(dialling) : nodes;
    return new Redis({
      nodes,
      writes,
      dialling,
      keys,
      isSharded,
      findings,
      level,
      now: () => (clock ? String(clock()) : ''),
    });
  } catch (error) {
    await nodes.close();
    throw error;
  }
}

/** Rights that lack would show in the middle of an append, when some of it is written. */
async function tryOut(nodes: Nodes, keys: Keys, isSharded: boolean): Promise<void> {
  const { partition, nodes: beating } = keys.lobby;
  await nodes.run(scripts.gone, { partition, keys: [beating], args: ['0', ''], mayRepeat: true });
  await nodes.command(partition, [isSharded ? 'SPUBLISH' : 'PUBLISH', keys.lobby.nobody, '']);
}

interface Opened {
  nodes: Nodes;
  writes: Nodes;
  dialling: Dialling;
  keys: Keys;
  /** Channels are of the server that has their partition. */
  isSharded: boolean;
  findings: Findings;
  level: Level;
  now: () => string;
}

class Redis implements RedisStore {
  readonly findings: Findings;
  readonly durability: Durability;
  readonly tickSkew = TICK_SKEW_MS * 1000;
  readonly #nodes: Nodes;
  readonly #writes: Nodes;
  readonly #keys: Keys;
  readonly #surroundings: Surroundings;
  readonly #now: () => string;
  readonly #onError: (error: unknown) => void;
  readonly #publish: 'PUBLISH' | 'SPUBLISH';
  readonly #publisher = randomUUID();
  /** How news of ours begin. */
  readonly #own = `[${JSON.stringify(this.#publisher)},`;
  readonly #subscriptions = new Subscriptions();
  readonly #subscriber: Subscriber;
  readonly #lately = new Lately();
  readonly #appends: Appends;
  readonly #directory: Directory;
  readonly #leases: Leases;
  readonly #tickets: Tickets;
  readonly #parcels: Parcels;
  /** The room of every channel that is subscribed. */
  readonly #roomOf = new Map<string, string>();
  readonly #missed = new Set<string>();
  #tellingMissed: NodeJS.Timeout | undefined;
  /** Milliseconds from the clock of Redis, when an entry was added, to ours, when it was heard: the least ever, and the last. */
  #delay = { least: Infinity, last: 0 };
  /** What was written down beside the logs may be lost. */
  #isBehind = false;
  #isWritingDown = false;
  #isOpen = true;
  /** How the last write went: all that can be known of the next one. */
  #hasFailed = false;

  constructor({ nodes, writes, dialling, keys, isSharded, findings, level, now }: Opened) {
    this.#nodes = nodes;
    this.#writes = writes;
    this.#keys = keys;
    this.#now = now;
    this.#onError = dialling.onError;
    this.findings = findings;
    this.durability = level.durability;
    this.#publish = isSharded ? 'SPUBLISH' : 'PUBLISH';
    const surroundings = { nodes, keys, now };
    this.#surroundings = surroundings;
    this.#directory = new Directory(surroundings);
    this.#leases = new Leases(surroundings, this.#lately);
    this.#tickets = new Tickets(surroundings);
    this.#parcels = new Parcels(surroundings, { leases: this.#leases, tickets: this.#tickets, directory: this.#directory });
    nodes.onChanged(() => this.#writeDownAgain());
    this.#subscriber = new Subscriber({
      nodes,
      dialling,
      isSharded,
      heard: (channel, message) => this.#hear(channel, message),
      missed: (channels) => this.#haveMissed(channels.flatMap((channel) => this.#roomOf.get(channel) ?? [])),
    });
    this.#appends = new Appends({
      ...surroundings,
      writes,
      confirmations: confirmationsOf(level),
      publish: this.#publish,
      publisher: this.#publisher,
      prepare: (room, append) => this.#prepare(room, append),
      tell: (room, told) => {
        if (told.ended) this.#directory.strikeOut([room]).catch(this.#onError);
        else if (told.entries[0]?.seq === 1) this.#directory.add([room]).catch(this.#onError);
        this.#subscriptions.tell(room, told);
      },
      missed: (room) => this.#haveMissed([room]),
      ticketsAreGone: (room, fields) => void this.#tickets.remove(room, fields).catch(this.#onError),
      settled: (error) => (this.#hasFailed = error !== undefined),
    });
  }

  get writable(): boolean {
    return this.#isOpen && !this.#hasFailed && this.#nodes.isReady;
  }

  get lag(): number {
    return Math.max(this.#delay.last - this.#delay.least, 0);
  }

  async append(room: string, append: Append): Promise<Appended> {
    this.#mustBeOpen();
    return this.#appends.append(room, append);
  }

  async read(room: string, ask: Ask): Promise<Facts> {
    this.#mustBeOpen();
    return readFacts(this.#surroundings, room, ask);
  }

  async recall(room: string, once: string): Promise<Kept | null> {
    const kept = await this.#run(room, scripts.recall, ['room', 'log', 'onces'], [once]);
    if (kept === null) return null;
    await this.#appends.confirm(room);
    return keptIn(kept as Reply[]);
  }

  async page(room: string, ask: PageAsk): Promise<Page> {
    const { before, after, listed = false, limit } = ask;
    const from = after === undefined ? Math.min(before ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) - 1 : after + 1;
    const args = [
      this.#now(),
      after === undefined ? 'down' : 'up',
      String(from),
      listed ? '1' : '0',
      String(limit),
      String(pageBytes(ask)),
    ];
    const page = pageIn((await this.#run(room, scripts.page, ['room', 'log', 'listed'], args)) as Reply[]);
    return after === undefined ? { ...page, entries: page.entries.reverse() } : page;
  }

  async family(room: string, family: string, { after, limit }: { after?: string; limit: number }) {
    const place = `${family}/\0`;
    const args = [after === undefined ? `[${place}` : `(${place}${after}`, `(${family}/\u0001`, String(limit + 1)];
    const rows = (await this.#run(room, scripts.family, ['keys', 'order', 'marks', 'leases'], args)) as Reply[];
    const keys = keysIn(rows).map(([key, value]): [string, Key] => [key.slice(family.length + 1), value]);
    return { keys: keys.slice(0, limit), more: keys.length > limit };
  }

  async rooms(ask: Parameters<Store['rooms']>[0]) {
    this.#mustBeOpen();
    return this.#directory.list(ask);
  }

  async usage(): Promise<Usage> {
    this.#mustBeOpen();
    const [rooms, bytes] = await Promise.all([this.#directory.count(), usedMemory(this.#nodes)]);
    return { rooms, bytes };
  }

  async subscribe(room: string, listener: Listener): Promise<() => void> {
    this.#mustBeOpen();
    const { news, partition } = this.#keys.room(room);
    const stop = this.#subscriptions.add(room, listener);
    const leave = () => {
      stop();
      if (this.#subscriptions.has(room)) return;
      this.#roomOf.delete(news);
      this.#subscriber.unsubscribe(news);
    };
    this.#roomOf.set(news, room);
    try {
      await this.#subscriber.subscribe(news, partition);
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
  }

  async announce(room: string, signal: Json): Promise<void> {
    this.#mustBeOpen();
    this.#subscriptions.announce(room, structuredClone(signal));
    const { news, partition } = this.#keys.room(room);
    const message = JSON.stringify([this.#publisher, null, signal] satisfies News);
    this.#nodes.say(partition, [this.#publish, news, message]);
  }

  async mark(room: string, key: string, seq: number): Promise<number | null> {
    const mark = await this.#run(room, scripts.mark, ['keys', 'marks'], [key, String(seq)]);
    return mark === null ? null : Number(mark);
  }

  async fork(room: string, epoch: string): Promise<string | null> {
    return (await this.#run(room, scripts.fork, ['room'], [epoch, forkOf(epoch)])) as string | null;
  }

  async trim(room: string, { epoch, below }: { epoch: string; below: number }): Promise<void> {
    await this.#appends.settled(room);
    const args = [room, epoch, String(below), String(TRIM_ROWS)];
    let more: Reply = 1;
    while (more === 1)
      more = await this.#run(room, scripts.trim, ['room', 'log', 'listed', 'keys', 'order', 'marks', 'leases', 'held'], args);
  }

  async tickets(holder: string, limit: number): Promise<Ticket[]> {
    this.#mustBeOpen();
    return this.#tickets.list(holder, limit);
  }

  async beat(node: string, ttl: number): Promise<void> {
    this.#mustBeOpen();
    if (await this.#leases.beat(node, ttl)) this.#writeDownAgain();
    // A node that beats without anybody writing learns here that it may be written again.
    this.#hasFailed = false;
  }

  async hold(room: string, key: { name: string; seq: number }, node: string): Promise<boolean> {
    this.#mustBeOpen();
    return this.#leases.hold(room, key, node);
  }

  async release(room: string, key: string, node: string, ttl: number): Promise<void> {
    this.#mustBeOpen();
    await this.#leases.release(room, key, node, ttl);
  }

  async setAside(room: string, key: string, ttl: number): Promise<boolean> {
    this.#mustBeOpen();
    return this.#leases.setAside(room, key, ttl);
  }

  async lapsed(limit: number): Promise<{ room: string; key: string }[]> {
    this.#mustBeOpen();
    return this.#leases.lapsed(limit);
  }

  async pack(room: string, next: string | null): Promise<Parcel | null> {
    this.#mustBeOpen();
    return this.#parcels.pack(room, next);
  }

  async unpack(parcel: Parcel): Promise<void> {
    this.#mustBeOpen();
    await this.#parcels.unpack(parcel);
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#tellingMissed);
    await this.#appends.drained();
    await Promise.all([this.#nodes.close(), this.#writes.close()]);
    this.#subscriber.close();
  }

  async #run(room: string, script: Script, kinds: (keyof RoomKeys)[], args: string[]): Promise<Reply> {
    this.#mustBeOpen();
    const keys = this.#keys.room(room);
    const names = kinds.flatMap((kind) => keys[kind] as string | string[]);
    return this.#nodes.run(script, { partition: keys.partition, keys: names, args, mayRepeat: true });
  }

  /**
   * Hints come before what they hint at (see directory.ts, leases.ts, tickets.ts). But they stand elsewhere: when it takes
   * long there, nobody waits here, and they come when they can.
   */
  #prepare(room: string, { drafts, epoch, lapsed }: Append): Promise<string | undefined> | undefined {
    const hints: Promise<unknown>[] = [];
    if (epoch === null) hints.push(this.#lately.do(room, async () => this.#directory.add([room])));
    for (const { lease, tickets = [] } of drafts) {
      if (lease) hints.push(this.#leases.willTake(room, lease));
      for (const { holder, key, value } of tickets) if (value !== null) hints.push(this.#leave(holder, [room, key]));
    }
    if (hints.length === 0 && lapsed === undefined) return undefined;
    const gone = lapsed === undefined ? undefined : this.#leases.goneHolderOf(room, lapsed);
    return this.#inTime(Promise.all([gone, ...hints]).then(([node]) => node));
  }

  async #inTime<Prepared>(prepared: Promise<Prepared>): Promise<Prepared | undefined> {
    const isInTime = await Promise.race([prepared.then(() => true), pause(HINT_MS, false, { ref: false })]);
    if (isInTime) return prepared;
    prepared.catch(() => this.#writeDownAgain());
    return undefined;
  }

  async #leave(holder: string, place: [room: string, key: string]): Promise<void> {
    await this.#lately.do([holder, ...place].join('\0'), async () => this.#tickets.add(holder, [place]));
  }

  /** What a failover, a restart or an operator has taken away beside the logs: tried until it is done. */
  #writeDownAgain(): void {
    this.#isBehind = true;
    if (!this.#isWritingDown) void this.#writeDown();
  }

  async #writeDown(): Promise<void> {
    this.#isWritingDown = true;
    while (this.#isBehind && this.#isOpen) {
      this.#isBehind = false;
      try {
        await Promise.all([this.#directory.add([...this.#roomOf.values()]), this.#leases.writeDownAgain(), this.#lately.again()]);
      } catch (error) {
        this.#onError(error);
        this.#isBehind = true;
        await pause(AGAIN_MS, undefined, { ref: false });
      }
    }
    this.#isWritingDown = false;
  }

  #hear(channel: string, message: string): void {
    const room = this.#roomOf.get(channel);
    // What is ours was told when it was answered.
    if (room === undefined || message.startsWith(this.#own)) return;
    try {
      this.#hearNews(room, JSON.parse(message) as News);
    } catch (error) {
      // Another version may say what is not understood here; what it is about stands in the log.
      this.#onError(error);
      this.#haveMissed([room]);
    }
  }

  #hearNews(room: string, [, told, announced]: News): void {
    if (told === null) this.#subscriptions.announce(room, announced ?? null);
    else if (told.length === 0) this.#subscriptions.missed(room);
    else for (const each of told) this.#tell(room, toldIn(each));
  }

  #tell(room: string, told: Told): void {
    const delay = Date.now() - (told.entries.at(-1)?.at ?? 0);
    this.#delay = { least: Math.min(this.#delay.least, delay), last: delay };
    this.#appends.heard(told);
    this.#subscriptions.tell(room, told);
  }

  #haveMissed(rooms: string[]): void {
    for (const room of rooms) this.#missed.add(room);
    this.#tellingMissed ??= setTimeout(() => this.#tellMissed(), 0);
  }

  #tellMissed(): void {
    const rooms = [...this.#missed].slice(0, MISSED_AT_ONCE);
    for (const room of rooms) {
      this.#missed.delete(room);
      this.#subscriptions.missed(room);
    }
    this.#tellingMissed = this.#missed.size > 0 && this.#isOpen ? setTimeout(() => this.#tellMissed(), MISSED_EVERY_MS) : undefined;
  }

  #mustBeOpen(): void {
    if (!this.#isOpen) throw new StoreError('closed', 'The store is closed.');
  }
}

function confirmationsOf({ command, isEnough }: Level) {
  if (!command) return undefined;
  const confirmations = new Confirmations(command);
  return { ask: (link: Link) => confirmations.ask(link), isEnough };
}
