import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Append, type Appended, StoreError, type Told } from '../store.ts';
import type { Confirmations } from './confirmations.ts';
import type { Link, Reply } from './connection.ts';
import type { RoomKeys } from './keys.ts';
import type { Nodes } from './nodes.ts';
import { scripts } from './scripts.ts';
import type { Surroundings } from './surroundings.ts';
import { argumentsOf, GONE_ARGUMENT, keptIn, type News, named, newsOf, toldOf } from './texts.ts';

/** What one call of the script does at most: nobody else is served meanwhile. */
const BATCH_APPENDS = 100;
const BATCH_BYTES = 1024 * 1024;
/** What may wait before `busy`. */
const WAITING_APPENDS = 50_000;
const WAITING_BYTES = 64 * 1024 * 1024;
/** How long a named append is tried again whose answer was lost, or which could not be confirmed. */
const PATIENCE_MS = 15_000;
const AGAIN_MS = 50;

interface Waiting {
  append: Append;
  args: string[];
  bytes: number;
  /** What must be written down elsewhere before, if anything. */
  prepared: Promise<void> | undefined;
  since: number;
  resolve: (appended: Appended) => void;
  reject: (error: unknown) => void;
}

interface Appending extends Surroundings {
  /** The connections that writes go on: the same as for reading, unless writes have to be confirmed. */
  writes: Nodes;
  /** Whether what was written is as durable as it must be; without, it is when the script has answered. */
  confirmations: { ask: Confirmations['ask']; isEnough: (reply: Reply) => boolean } | undefined;
  /** How news go out: the command, and from whom. */
  publish: 'PUBLISH' | 'SPUBLISH';
  publisher: string;
  /** Before an append is asked, if there is anything to do. Answers the node of the lease that must have run out, if that is gone. */
  prepare: (room: string, append: Append) => Promise<string | undefined> | undefined;
  /** Before it resolves. */
  tell: (room: string, told: Told) => void;
  /** Something was kept perhaps, of which nobody was told. */
  missed: (room: string) => void;
  ticketsAreGone: (room: string, fields: string[]) => void;
  settled: (error: StoreError | undefined) => void;
}

/**
 * Appends, room by room: while one call is under way the next ones of its room gather, and go in one. So they are kept in
 * the order in which they were asked, and batches grow with the load by themselves.
 */
export class Appends {
  readonly #appending: Appending;
  readonly #rooms = new Map<string, Waiting[]>();
  /** The newest append of each room of those. */
  readonly #newest = new Map<string, Promise<unknown>>();
  #waiting = 0;
  #waitingBytes = 0;
  #leastTick = 0;
  #drained: (() => void) | undefined;

  constructor(appending: Appending) {
    this.#appending = appending;
  }

  /** No entry of ours gets a smaller tick than one that was told here. */
  heard({ entries }: Told): void {
    this.#leastTick = Math.max(this.#leastTick, entries.at(-1)?.tick ?? 0);
  }

  append(room: string, append: Append): Promise<Appended> {
    const args = argumentsOf(append);
    const bytes = args.reduce((sum, arg) => sum + arg.length, 500);
    if (this.#waiting >= WAITING_APPENDS || this.#waitingBytes + bytes > WAITING_BYTES)
      throw new StoreError('busy', 'As much as may wait for Redis is waiting.');
    this.#waiting += 1;
    this.#waitingBytes += bytes;
    const prepared = this.#appending.prepare(room, append)?.then((gone) => {
      if (gone !== undefined) args[GONE_ARGUMENT] = named(gone);
    });
    // It is looked at when its turn comes.
    prepared?.catch(() => undefined);
    const appended = new Promise<Appended>((resolve, reject) => {
      const waiting = { append, args, bytes, prepared, since: performance.now(), resolve, reject };
      const queue = this.#rooms.get(room);
      if (queue) queue.push(waiting);
      else void this.#work(room, [waiting]);
    });
    this.#newest.set(room, appended);
    return appended;
  }

  /** Resolves once what was asked of the room before is done. */
  async settled(room: string): Promise<void> {
    await this.#newest.get(room)?.catch(() => undefined);
  }

  /** Resolves once all that the room has is as safe as it must be. */
  async confirm(room: string): Promise<void> {
    if (!this.#appending.confirmations) return;
    // Of nothing it is the script that writes a little all the same: what was written before is as safe as that.
    const { link } = await this.#run(room, this.#appending.keys.room(room), []);
    await this.#confirm(link);
  }

  /** Resolves once nothing waits. */
  async drained(): Promise<void> {
    if (this.#rooms.size > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
  }

  async #work(room: string, queue: Waiting[]): Promise<void> {
    this.#rooms.set(room, queue);
    const keys = this.#appending.keys.room(room);
    while (queue.length > 0) {
      const batch = takeBatch(queue);
      const again = await this.#apply(room, keys, batch);
      for (const { bytes } of batch) this.#waitingBytes -= bytes;
      this.#waiting -= batch.length;
      if (again.length === 0) continue;
      for (const { bytes } of again) this.#waitingBytes += bytes;
      this.#waiting += again.length;
      queue.unshift(...again);
      await pause(AGAIN_MS);
    }
    this.#rooms.delete(room);
    this.#newest.delete(room);
    if (this.#rooms.size === 0) this.#drained?.();
  }

  /** Answers those that are to be asked once more. */
  async #apply(room: string, keys: RoomKeys, batch: Waiting[]): Promise<Waiting[]> {
    const asked = await preparedOf(batch);
    if (asked.length === 0) return [];
    try {
      const { answers, link } = await this.#run(room, keys, asked);
      await this.#confirm(link);
      this.#settle(room, keys, asked, answers);
      this.#appending.settled(undefined);
      return [];
    } catch (error) {
      const storeError = error instanceof StoreError ? error : new StoreError('failed', 'Redis answered what cannot be understood.', error);
      this.#appending.settled(storeError);
      return this.#afterFailure(room, asked, storeError);
    }
  }

  async #run(room: string, keys: RoomKeys, batch: Waiting[]): Promise<{ answers: Reply[]; link: Link }> {
    const { writes, now, publish, publisher, confirmations } = this.#appending;
    const publishes = confirmations ? '' : publish;
    const { reply, link } = await writes.runOn(scripts.append, {
      partition: keys.partition,
      keys: [
        keys.room,
        keys.log,
        keys.listed,
        keys.keys,
        keys.order,
        keys.marks,
        keys.leases,
        keys.tickets,
        keys.endings,
        ...keys.onces,
        keys.held,
        keys.news,
      ],
      args: [now(), String(this.#leastTick), publishes, JSON.stringify(publisher), room, ...batch.flatMap(({ args }) => args)],
      // It is not to be sent twice as it is (see `asAnother`).
      mayRepeat: false,
    });
    return { answers: reply as Reply[], link };
  }

  async #confirm(link: Link): Promise<void> {
    const { confirmations } = this.#appending;
    if (!confirmations) return;
    const reply = await confirmations.ask(link).catch((error: unknown) => {
      throw new StoreError('unsure', 'Redis could not be asked whether it is safe.', error);
    });
    if (!confirmations.isEnough(reply)) throw new StoreError('unsure', `It is not as safe as it must be (${JSON.stringify(reply)}).`);
  }

  #settle(room: string, keys: RoomKeys, batch: Waiting[], answers: Reply[]): void {
    const { tell, ticketsAreGone, writes, publish, publisher, confirmations } = this.#appending;
    const news: Told[] = [];
    for (const [index, { append, resolve }] of batch.entries()) {
      const answer = answers[index];
      if (!Array.isArray(answer)) {
        resolve({ outcome: 'stale' });
        continue;
      }
      const [kind, ...rest] = answer;
      if (kind === 2) {
        resolve({ outcome: 'repeated', ...keptIn(rest) });
        continue;
      }
      const told = toldOf(append.drafts, rest);
      news.push(told);
      this.heard(told);
      tell(room, told);
      resolve({ outcome: 'appended', epoch: told.epoch, entries: told.entries.map(({ seq, id, at }) => ({ seq, id, at })) });
    }
    if (confirmations) {
      // Of what was kept by an earlier try nobody was told: who hears that there is nothing new looks into the log.
      const message = JSON.stringify([publisher, news.map(newsOf)] satisfies News);
      writes.say(keys.partition, [publish, keys.news, message]);
      if (news.length < batch.length) this.#appending.missed(room);
    }
    const fields = answers.at(-1) as string[];
    if (fields.length > 0) ticketsAreGone(room, fields);
  }

  /** What has a name may be asked again, and is kept once; of the rest nobody can say. */
  #afterFailure(room: string, batch: Waiting[], error: StoreError): Waiting[] {
    if (error.reason === 'unsure') this.#appending.missed(room);
    const mayAgain = ({ append, since }: Waiting) =>
      error.reason === 'unsure' && append.once !== undefined && performance.now() - since < PATIENCE_MS;
    for (const waiting of batch) if (!mayAgain(waiting)) waiting.reject(error);
    return batch.filter(mayAgain).map(asAnother);
  }
}

/**
 * Its entries have other names when they are asked once more: if the first ones were kept and told, and then lost by a
 * failover, these are others in their place, and whoever has the first finds out.
 */
function asAnother(waiting: Waiting): Waiting {
  const append = { ...waiting.append, drafts: waiting.append.drafts.map((draft) => ({ ...draft, id: randomUUID() })) };
  const args = argumentsOf(append);
  if (append.lapsed !== undefined) args[GONE_ARGUMENT] = waiting.args[GONE_ARGUMENT] ?? '';
  return { ...waiting, append, args };
}

/** Those for which all is written down; the others are refused. */
async function preparedOf(batch: Waiting[]): Promise<Waiting[]> {
  if (batch.every(({ prepared }) => prepared === undefined)) return batch;
  const settled = await Promise.allSettled(batch.map(({ prepared }) => prepared ?? Promise.resolve()));
  return batch.filter(({ reject }, index) => {
    const each = settled[index] as PromiseSettledResult<void>;
    if (each.status === 'rejected') reject(each.reason);
    return each.status === 'fulfilled';
  });
}

function takeBatch(queue: Waiting[]): Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const waiting of queue) {
    bytes += waiting.bytes;
    if (count > 0 && (count === BATCH_APPENDS || bytes > BATCH_BYTES)) break;
    count += 1;
  }
  return queue.splice(0, count);
}
