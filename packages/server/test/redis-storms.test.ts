/** Redis flushes scripts and kills connections under writes: named appends are stored once, and subscribers are notified of gaps. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { AppendResult, Listener, Store, StoreError } from '@engawa/server';
import { readEntries } from '@engawa/testkit/checkers/recording';
import { type RedisServer, startRedis } from '@engawa/testkit/redis/redis-servers';
import { until } from '@engawa/testkit/wait-for';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openRedis } from '#store/redis/redis-store.js';

const ROOMS = ['one', '{two}', 'three:*'];
const WRITERS = 5;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

async function openTwo(): Promise<[Store, Store]> {
  const prefix = randomUUID();
  const stores = [await openRedis({ url: redis.url, prefix }), await openRedis({ url: redis.url, prefix })] as const;
  for (const store of stores) onTestFinished(() => store.close());
  return [...stores];
}

const draft = (id: string) => ({
  id,
  by: 'aya',
  author: 'aya',
  kind: 'chat',
  body: { text: id },
  keyUpdates: [[`last/${id}`, id] as [string, string]],
});

/** The appends and their final answers; named appends are retried until they are answered. */
class Storm {
  readonly appended = new Map<string, { room: string; seq: number }>();
  readonly unknownOutcomes = new Set<string>();
  readonly errors: StoreError[] = [];
  readonly #stores: Store[];
  readonly #epochs = new Map<string, string>();
  #isOver = false;
  #writing: Promise<void>[] = [];

  constructor(stores: Store[]) {
    this.#stores = stores;
  }

  /** It ends with the test. */
  async begin({ named }: { named: boolean }): Promise<void> {
    for (const room of ROOMS) {
      const opened = (await this.#stores[0]!.append(room, { epoch: null, expectedVersions: [], drafts: [draft(`${room} opens`)] })) as {
        epoch: string;
      };
      this.#epochs.set(room, opened.epoch);
    }
    const writers = this.#stores.flatMap((store, at) =>
      ROOMS.flatMap((room) =>
        Array.from({ length: WRITERS }, async (_, writer) => this.#write({ store, room, named, name: `${at} ${room} ${writer}` })),
      ),
    );
    this.#writing = writers;
    onTestFinished(() => this.end());
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#writing);
  }

  /** Each room has all acknowledged entries, once, at their seq, and beyond them only entries with an unknown outcome. */
  async check(store: Store): Promise<void> {
    for (const room of ROOMS) {
      const entries = (await readEntries(store, room)).slice(1);
      // By their texts: what is asked once more has another id.
      const texts = entries.map(({ body }) => body?.text as string);
      expect(new Set(texts).size, 'nothing is there twice').toBe(texts.length);
      for (const [index, text] of texts.entries()) {
        if (!this.unknownOutcomes.has(text)) expect(this.appended.get(text), text).toEqual({ room, seq: entries[index]?.seq });
      }
      const stored = [...this.appended.values()].filter((each) => each.room === room);
      expect(stored.map(({ seq }) => entries[seq - 2]?.seq)).toEqual(stored.map(({ seq }) => seq));
      const { counts } = await store.read(room, { counts: [''] });
      expect(counts.get('')?.get('last')).toBe(entries.length + 1);
    }
  }

  async #write({ store, room, named, name }: { store: Store; room: string; named: boolean; name: string }): Promise<void> {
    for (let turn = 0; !this.#isOver; turn += 1) {
      const id = `${name} ${turn}`;
      const { outcome, ...stored } = (await this.#append(store, room, { id, named })) ?? { outcome: 'outcome_unknown' };
      if (outcome === 'outcome_unknown') this.unknownOutcomes.add(id);
      else this.appended.set(id, { room, seq: (stored as { entries: { seq: number }[] }).entries[0]!.seq });
    }
  }

  async #append(store: Store, room: string, { id, named }: { id: string; named: boolean }): Promise<AppendResult | undefined> {
    for (;;) {
      try {
        return await store.append(room, {
          epoch: this.#epochs.get(room)!,
          expectedVersions: [],
          drafts: [draft(id)],
          ...(named && { idempotencyKey: id }),
        });
      } catch (error) {
        this.errors.push(error as StoreError);
        if (this.#isOver || (!named && (error as StoreError).reason === 'outcome_unknown')) return undefined;
        await pause(10);
      }
    }
  }
}

/** Does something again and again until it is stopped. */
class Repeating {
  times = 0;
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(what: () => Promise<unknown>, everyMs: number) {
    this.#done = this.#repeat(what, everyMs);
    onTestFinished(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #repeat(what: () => Promise<unknown>, everyMs: number): Promise<void> {
    for (; !this.#isOver; this.times += 1) {
      await what();
      await pause(everyMs);
    }
  }
}

test('flushed scripts are sent again, and nothing is lost or doubled', async () => {
  const stores = await openTwo();
  const storm = new Storm(stores);
  await storm.begin({ named: true });
  const flushing = new Repeating(() => redis.runCommand('SCRIPT', 'FLUSH'), 5);
  await until(() => flushing.times >= 50 && storm.appended.size > 1_000, 'much is written', 20_000);
  await flushing.stop();
  await storm.end();
  expect(storm.errors).toEqual([]);
  await storm.check(stores[0]);
});

test.each([
  ['with a name', true],
  ['without', false],
])('killed connections do not stop writes, and what is written %s is stored once', { timeout: 60_000 }, async (_, named) => {
  const stores = await openTwo();
  const storm = new Storm(stores);
  await storm.begin({ named });
  const killing = new Repeating(() => redis.runCommand('CLIENT', 'KILL', 'TYPE', 'normal'), 100);
  await until(() => killing.times >= 10 && storm.appended.size > 500, 'much is written', 40_000);
  await killing.stop();
  await storm.end();
  for (const error of storm.errors)
    expect(error).toMatchObject({ name: 'StoreError', reason: expect.stringMatching(/^(?:outcome_unknown|busy)$/) as string });
  if (!named) expect(storm.unknownOutcomes.size, 'answers were lost').toBeGreaterThan(0);
  await storm.check(stores[0]);
});

test('a subscriber whose subscriptions are killed is notified of a gap, and receives what follows', {
  timeout: 60_000,
}, async () => {
  const [store, other] = await openTwo();
  const storm = new Storm([other]);
  const received = new Map(ROOMS.map((room) => [room, { ids: new Set<string>(), missed: 0 }]));
  for (const [room, ears] of received) {
    const listener: Listener = {
      onAppend: ({ entries }) => {
        for (const { id } of entries) ears.ids.add(id);
      },
      onPublish: () => undefined,
      onGap: () => (ears.missed += 1),
    };
    await store.subscribe(room, listener);
  }
  await storm.begin({ named: true });
  const all = [...received.values()];
  const killing = new Repeating(() => redis.runCommand('CLIENT', 'KILL', 'TYPE', 'pubsub'), 300);
  await until(() => all.every(({ missed }) => missed >= 3), 'they are notified', 30_000);
  await killing.stop();
  await storm.end();
  for (const [room, { ids }] of received) {
    const { epoch } = await other.read(room, {});
    await until(async () => {
      const id = `${room} ${randomUUID()}`;
      await other.append(room, { epoch, expectedVersions: [], drafts: [draft(id)] });
      await pause(50);
      return ids.has(id);
    }, `${room} is received again`);
  }
});
