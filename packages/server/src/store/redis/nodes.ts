import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { ClientOfflineError, ErrorReply } from '@redis/client';
import { StoreError } from '../store.ts';
import { type Command, Connection, type Dialling, type Link, LostAnswer, NotConnected, type Reply } from './connection.ts';
import { type Places, whereIs } from './places.ts';
import type { Script } from './scripts.ts';

/** How long one operation is tried, over failovers and moves of slots. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = { least: 20, most: 500 };
const READY_MS = 500;
/** A cluster is asked so often where its slots are, though nothing seems to have changed. */
const LOOK_MS = 60_000;

/** What to do about an error: ask where the data is now, wait, try again with the source of the script, or give up. */
type Remedy = 'look' | 'wait' | 'source' | 'lost' | 'none';

const REMEDIES: Record<string, Remedy> = {
  MOVED: 'look',
  READONLY: 'look',
  CLUSTERDOWN: 'look',
  MASTERDOWN: 'look',
  TRYAGAIN: 'wait',
  LOADING: 'wait',
  BUSY: 'wait',
  NOREPLICAS: 'wait',
  NOSCRIPT: 'source',
};

export interface Run {
  partition: number;
  keys: string[];
  args: string[];
  /** Whether it does no harm when it is done twice: reading, or what the store recognises. */
  mayRepeat: boolean;
}

/** The servers of one Redis, of whatever kind: knows which of them has a partition, and gets an answer from it. */
export class Nodes {
  readonly #dialling: Dialling;
  readonly #connections = new Map<string, Connection>();
  readonly #listeners = new Set<() => void>();
  /** Of the server at the other end of a connection, one from its start to its end. */
  readonly #lives = new WeakMap<Connection, string | undefined>();
  readonly #timer: NodeJS.Timeout;
  readonly #underWay = new Set<Promise<unknown>>();
  #places: Places;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  private constructor(dialling: Dialling, places: Places) {
    this.#dialling = dialling;
    this.#places = places;
    this.#timer = setInterval(() => void this.look({ isSure: true }).catch(dialling.onError), LOOK_MS).unref();
    if (places.isFixed) clearInterval(this.#timer);
    for (const address of places.all) this.#connectionTo(address);
  }

  /** Finds out where everything is; rejects when nobody answers. */
  static async open(dialling: Dialling): Promise<Nodes> {
    try {
      return new Nodes(dialling, await whereIs(dialling));
    } catch (error) {
      throw unusable(dialling.target.seeds.join(', '), error);
    }
  }

  get isCluster(): boolean {
    return this.#places.isCluster;
  }

  /** Whether all servers can be reached, as far as is known. */
  get isReady(): boolean {
    return !this.#isClosed && [...this.#places.all].every((address) => this.#connections.get(address)?.isReady);
  }

  /** Addresses of the servers that are written to. */
  get addresses(): string[] {
    return [...this.#places.all];
  }

  addressOf(partition: number): string | undefined {
    return this.#places.of(partition);
  }

  /** Calls back whenever partitions have moved to other servers, or a server was started anew: either may have lost what came last. */
  onChanged(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Runs a script in a partition. */
  async run(script: Script, run: Run): Promise<Reply> {
    return (await this.runOn(script, run)).reply;
  }

  /** Runs a script, and answers, too, on which connection that was. */
  async runOn(script: Script, { partition, keys, args, mayRepeat }: Run): Promise<{ reply: Reply; link: Link }> {
    const rest = [String(keys.length), ...keys, ...args];
    const commandOf = (isSource: boolean): Command => (isSource ? ['EVAL', script.source, ...rest] : ['EVALSHA', script.sha, ...rest]);
    return this.#send(partition, commandOf, mayRepeat);
  }

  /** One command in a partition, which may be done twice. */
  async command(partition: number, command: Command): Promise<Reply> {
    return (await this.#send(partition, () => command, true)).reply;
  }

  /** A command that may as well be lost. */
  say(partition: number, command: Command): void {
    this.#noting(this.#sendOnce(this.#places.of(partition), command, false)).catch(() => undefined);
  }

  /** Asks one server something about itself. */
  async ask(address: string, command: Command): Promise<Reply> {
    const connection = this.#connectionTo(address);
    try {
      await connection.ready(READY_MS);
      return answerOf((await connection.send([command]))[0]);
    } catch (error) {
      throw unusable(address, error);
    }
  }

  /** Asks where everything is now; `isSure` when nothing seems to be wrong. */
  async look({ isSure = false } = {}): Promise<void> {
    this.#looking ??= this.#look(isSure).finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  /** Once all that was asked is answered, and what was asked because of that. */
  async close(): Promise<void> {
    while (this.#underWay.size > 0) {
      await Promise.allSettled(this.#underWay);
      await nextTurn();
    }
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const connection of this.#connections.values()) connection.close();
  }

  async #send(partition: number, commandOf: (isSource: boolean) => Command, mayRepeat: boolean): Promise<{ reply: Reply; link: Link }> {
    return this.#noting(this.#sendPatiently(partition, commandOf, mayRepeat));
  }

  async #noting<Answer>(sending: Promise<Answer>): Promise<Answer> {
    this.#underWay.add(sending);
    return sending.finally(() => this.#underWay.delete(sending));
  }

  async #sendPatiently(
    partition: number,
    commandOf: (isSource: boolean) => Command,
    mayRepeat: boolean,
  ): Promise<{ reply: Reply; link: Link }> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    let [isSource, wasLost, asked] = [false, false, undefined as string | undefined];
    for (let attempt = 0; ; attempt += 1) {
      if (this.#isClosed) throw new StoreError(wasLost ? 'unsure' : 'closed', 'The store is closed.');
      try {
        return await this.#sendOnce(asked ?? this.#places.of(partition), commandOf(isSource), asked !== undefined);
      } catch (error) {
        asked = askedOf(error);
        const remedy = remedyFor(error);
        wasLost ||= remedy === 'lost';
        if (wasLost && !mayRepeat) throw new StoreError('unsure', 'The connection to Redis was lost before it answered.', error);
        if (remedy === 'none') throw toStoreError(error);
        if (performance.now() > giveUpAt) throw new StoreError(wasLost ? 'unsure' : 'busy', 'Redis cannot be reached.', error);
        if (remedy === 'source') isSource = true;
        if (remedy === 'look' || remedy === 'lost') await this.look().catch(this.#dialling.onError);
        if (attempt > 0 && asked === undefined) await pause(Math.min(PAUSE_MS.least * 2 ** attempt, PAUSE_MS.most));
      }
    }
  }

  async #sendOnce(address: string | undefined, command: Command, isAsking: boolean): Promise<{ reply: Reply; link: Link }> {
    if (address === undefined) throw new NotConnected('No server has this partition.');
    const connection = this.#connectionTo(address);
    if (!connection.isReady && !(await connection.ready(READY_MS))) throw new NotConnected(`${address} cannot be reached.`);
    const { link } = connection;
    const settled = await connection.send(isAsking ? [['ASKING'], command] : [command]);
    return { reply: answerOf(settled.at(-1)), link };
  }

  #connectionTo(address: string): Connection {
    const known = this.#connections.get(address);
    if (known) return known;
    const connection = new Connection(this.#dialling, address);
    connection.onReady(
      () => void this.#compareLives(connection).catch((error: unknown) => this.#isClosed || this.#dialling.onError(error)),
    );
    this.#connections.set(address, connection);
    return connection;
  }

  async #compareLives(connection: Connection): Promise<void> {
    const [info] = await connection.send([['INFO', 'server']]);
    const life = /^run_id:(\w+)/m.exec(String(answerOf(info)))?.[1];
    const former = this.#lives.get(connection);
    this.#lives.set(connection, life);
    if (former !== undefined && former !== life) this.#changed();
  }

  async #look(isSure: boolean): Promise<void> {
    const before = this.#places;
    const places = await whereIs(this.#dialling, { known: before, isSure });
    if (this.#isClosed || places.equals(before)) return;
    this.#places = places;
    for (const [address, connection] of this.#connections) {
      if (places.all.has(address)) continue;
      connection.close();
      this.#connections.delete(address);
    }
    for (const address of places.all) this.#connectionTo(address);
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

export function answerOf(settled: PromiseSettledResult<Reply> | undefined): Reply {
  if (settled?.status === 'fulfilled') return settled.value;
  const reason = settled?.reason as Error;
  if (reason instanceof ErrorReply) throw reason;
  if (reason instanceof ClientOfflineError) throw new NotConnected(reason.message);
  if (reason.message === 'The queue is full') throw new StoreError('busy', 'As much as may wait for Redis is waiting.');
  throw new LostAnswer('The connection was lost before the answer.', { cause: reason });
}

/** The first word of what Redis says is the kind of the error. A script's own errors say it further on. */
const wordOf = (error: ErrorReply): string => /^(?:ERR )?(?:user_script:\d+: )?-?([A-Z]+)/.exec(error.message)?.[1] ?? '';

function remedyFor(error: unknown): Remedy {
  if (error instanceof LostAnswer) return 'lost';
  if (error instanceof NotConnected) return 'look';
  if (!(error instanceof ErrorReply)) return 'none';
  return askedOf(error) === undefined ? (REMEDIES[wordOf(error)] ?? 'none') : 'wait';
}

/** A slot that is being moved sends us for this once to where it goes. */
const askedOf = (error: unknown): string | undefined =>
  error instanceof ErrorReply ? /^ASK \d+ (\S+)$/.exec(error.message)?.[1] : undefined;

/** Certificates that are not trusted; the other errors of TLS are the network's. */
const DISTRUST = /^(?:ERR_TLS|CERT|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO)_/;

const isNoRedis = (message: string): boolean => message.includes('RESP type');

/** It may be there later (`busy`), unless somebody has to mend something first. */
function unusable(where: string, error: unknown): StoreError {
  const { message, code = '' } = error as NodeJS.ErrnoException;
  const isToBeMended = (error instanceof ErrorReply && remedyFor(error) === 'none') || DISTRUST.test(code) || isNoRedis(message);
  return new StoreError(isToBeMended ? 'failed' : 'busy', `Redis at ${where} cannot be used: ${message}`, error);
}

function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { message } = error as Error;
  const isFull = error instanceof ErrorReply && /\bOOM\b|\bMISCONF\b/.test(message);
  return new StoreError(isFull ? 'full' : 'failed', `Redis refuses: ${message}`, error);
}
