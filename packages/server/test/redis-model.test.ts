/** For any operations on rooms of any names, Redis answers like the memory store: so no name affects another one. */
import { randomUUID } from 'node:crypto';
import { type AppendNotice, type AppendRequest, type Draft, type Json, openMemory, type Store } from '@engawa/server';
import { type RedisServer, startRedis } from '@engawa/testkit/redis/redis-servers';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openRedis } from '#store/redis/redis-store.js';

const RUNS = 60;
const STEPS = 25;
const ALL = 1_000;
const ONCES = ['', 'o:1', 'o 2'];

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

const part = fc.oneof(
  fc.constantFrom('{}', '{a}', '}{', ':', '::', '*', '?', '[a-z]', '\\', ' ', '\r\n', '"', "'", '%', '$1', '\u0001', '0', '縁'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }).map((text) => text.toWellFormed().replaceAll(/[\0/]/g, '') || 'x'),
);
const path = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const four = (name: fc.Arbitrary<string>) => fc.uniqueArray(name, { minLength: 4, maxLength: 4 });
const names = fc.record({
  rooms: four(path),
  keys: four(
    fc.oneof(
      path,
      fc.tuple(fc.integer({ min: 1, max: 5 }), part).map(([seq, name]) => `entry/${seq}/${name}`),
    ),
  ),
  people: four(part),
});
type Names = typeof names extends fc.Arbitrary<infer Value> ? Value : never;

/** Which of the four names. */
const which = fc.nat(3);
const number = fc.integer({ min: 1, max: 12 });
const value = fc.option(fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<Json>, { freq: 4 });
const rarely = fc.nat(7).map((dice) => dice === 0);
const change = fc.record({
  sets: fc.array(fc.tuple(which, value), { maxLength: 3 }),
  erases: fc.array(number, { maxLength: 2 }),
  flags: fc.record({ quiet: fc.boolean(), listed: fc.boolean() }),
  lease: fc.option(fc.record({ key: which, node: which }), { freq: 2 }),
  tickets: fc.array(fc.record({ holder: which, key: which, value, ttl: fc.option(fc.integer({ min: 1, max: 5_000 })) }), { maxLength: 2 }),
});
const step = fc.record({
  what: fc.oneof(
    { weight: 10, arbitrary: fc.constant('append' as const) },
    { weight: 2, arbitrary: fc.constantFrom('mark' as const, 'hold' as const, 'release' as const, 'beat' as const, 'pass' as const) },
    { weight: 1, arbitrary: fc.constant('setAside' as const) },
    { weight: 1, arbitrary: fc.constantFrom('trim' as const, 'fork' as const) },
  ),
  room: which,
  key: which,
  person: which,
  number,
  changes: fc.array(change, { minLength: 1, maxLength: 3 }),
  once: fc.option(fc.constantFrom(...ONCES), { freq: 2 }),
  given: fc.option(which, { freq: 1 }),
  expired: fc.option(which, { freq: 8 }),
  isStale: rarely,
  ends: rarely,
});
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

test('any sequence of steps gives the same answers and state as in memory', { timeout: 120_000 }, async () => {
  const met = new Set<unknown>();
  await fc.assert(
    fc.asyncProperty(names, fc.array(step, { minLength: 5, maxLength: STEPS, size: 'max' }), async (named, steps) => {
      let now = 1_700_000_000_000;
      const clock = () => now;
      const memory = openMemory({ clock });
      const store = await openRedis({ url: redis.url, prefix: randomUUID(), clock, onError: console.error });
      const [one, other] = [new Side(memory, named), new Side(store, named)];
      try {
        for (const [id, each] of steps.entries()) {
          if (each.what === 'pass') now += each.number * 400;
          const expected = await one.take(each, `e${id}`);
          expect(await other.take(each, `e${id}`), `step ${id}`).toEqual(expected);
          met.add(expected?.outcome);
        }
        expect(await other.picture()).toEqual(await one.picture());
      } finally {
        await store.close();
      }
    }),
    { numRuns: RUNS },
  );
  expect([...met]).toEqual(expect.arrayContaining(['appended', 'repeated', 'stale']));
});

test('two prefixes in one Redis are separate, though one is a prefix of the other', async () => {
  const stores = await Promise.all(['a', 'a:', 'a:b', 'A'].map((prefix) => openRedis({ url: redis.url, prefix })));
  for (const store of stores) onTestFinished(() => store.close());
  const room = 'veranda';
  const received = stores.map(() => [] as Json[]);
  for (const [at, store] of stores.entries()) {
    const onAppend = ({ entries }: AppendNotice) => void received[at]!.push(...entries.map(({ id }) => id));
    await store.subscribe(room, { onAppend, onPublish: (signal) => void received[at]!.push(signal), onGap: () => undefined });
  }
  for (const [at, store] of stores.entries()) {
    const key = `member/${at}`;
    const ticket = { holder: 'aya', key, value: at };
    const draft: Draft = {
      id: `${at}`,
      by: 'aya',
      author: 'aya',
      kind: 'chat',
      body: {},
      keyUpdates: [[key, at]],
      lease: { key, node: 'gone' },
      tickets: [ticket],
    };
    expect(await store.append(room, { epoch: null, expectedVersions: [], idempotencyKey: 'one', drafts: [draft] })).toMatchObject({
      outcome: 'appended',
    });
    await store.publish(room, `signal ${at}`);
  }
  // Earlier publications arrive before this one.
  for (const store of stores)
    await store.subscribe('later', { onAppend: () => undefined, onPublish: () => undefined, onGap: () => undefined });
  for (const [at, store] of stores.entries()) {
    expect((await store.listRooms({ limit: ALL })).rooms).toMatchObject([{ room, head: 1 }]);
    expect((await store.readPage(room, { limit: ALL })).entries.map(({ id }) => id)).toEqual([`${at}`]);
    expect((await store.listKeys(room, 'member', { limit: ALL })).keys.map(([name]) => name)).toEqual([`${at}`]);
    expect(await store.listTickets('aya', ALL)).toMatchObject([{ value: at }]);
    expect(await store.listExpiredLeases(ALL)).toEqual([{ room, key: `member/${at}` }]);
    expect(received[at]).toEqual([`${at}`, `signal ${at}`]);
  }
});

/** One of the two stores, with epochs by their order, since each store creates its own. */
class Side {
  readonly #store: Store;
  readonly #names: Names;
  readonly #epochs = new Map<string, number>();

  constructor(store: Store, names: Names) {
    this.#store = store;
    this.#names = names;
  }

  async take(step: Step, id: string): Promise<{ outcome: unknown } | undefined> {
    const { rooms, keys, people } = this.#names;
    const [room, key, person] = [rooms[step.room]!, keys[step.key]!, people[step.person]!];
    const { epoch, keys: facts } = await this.#store.read(room, { keys: [key] });
    switch (step.what) {
      case 'append':
        return this.#plain(await this.#store.append(room, await this.#appendOf(step, room, id))) as { outcome: unknown };
      case 'mark':
        return { outcome: await this.#store.advanceMark(room, key, step.number) };
      case 'hold':
        return {
          outcome: await this.#store.acquireLease(room, { name: key, seq: step.isStale ? 99 : (facts.get(key)?.seq ?? 0) }, person),
        };
      case 'release':
        return { outcome: await this.#store.releaseLease(room, key, person, step.number * 500) };
      case 'setAside':
        return { outcome: await this.#store.expireLease(room, key, step.number * 500) };
      case 'beat':
        return { outcome: await this.#store.heartbeat(person, step.number * 500) };
      case 'trim':
        return { outcome: await this.#store.trim(room, { epoch: step.isStale ? 'x' : String(epoch), below: step.number }) };
      case 'fork':
        return { outcome: this.#plain({ epoch: await this.#store.startNewEpoch(room, step.isStale ? 'x' : String(epoch)) }) };
      case 'pass':
        return undefined;
    }
  }

  /** All that can be read. */
  async picture(): Promise<unknown> {
    const { rooms, keys, people } = this.#names;
    const parents = ['', 'entry', ...keys.flatMap((key) => key.split('/').map((_, end, parts) => parts.slice(0, end).join('/')))];
    const all = Array.from({ length: 100 }, (_, index) => index + 1);
    const pictures = rooms.map(async (room) => ({
      facts: await this.#store.read(room, { keys, seqs: all, counts: parents.filter(Boolean) }),
      top: await this.#store.read(room, { counts: [''] }),
      up: await this.#store.readPage(room, { after: 0, limit: ALL }),
      down: await this.#store.readPage(room, { before: 10, limit: 3 }),
      listed: await this.#store.readPage(room, { listed: true, limit: 4 }),
      families: await Promise.all(parents.map((family) => this.#store.listKeys(room, family, { limit: ALL }))),
      stored: await Promise.all(ONCES.map((once) => this.#store.findByIdempotencyKey(room, once))),
    }));
    return this.#plain({
      rooms: await Promise.all(pictures),
      list: await this.#store.listRooms({ limit: ALL }),
      tickets: await Promise.all(people.map((holder) => this.#store.listTickets(holder, ALL))),
      expired: new Set((await this.#store.listExpiredLeases(ALL)).map(({ room, key }) => JSON.stringify([room, key]))),
    });
  }

  async #appendOf(
    { changes, once: idempotencyKey, given, expired, isStale, ends: endsRoom, number }: Step,
    room: string,
    id: string,
  ): Promise<AppendRequest> {
    const { keys, people } = this.#names;
    const name = given === null ? undefined : keys[given]!;
    const { epoch, keys: facts } = await this.#store.read(room, { keys: name === undefined ? [] : [name] });
    return {
      epoch,
      expectedVersions: name === undefined ? [] : [[name, (facts.get(name)?.seq ?? 0) + (isStale ? number : 0)]],
      ...(idempotencyKey !== null && { idempotencyKey }),
      ...(expired !== null && { requiredExpiredLease: keys[expired]! }),
      drafts: changes.map(({ sets, erases: eraseSeqs, flags, lease, tickets }, index): Draft => {
        const leased = lease && { key: keys[lease.key]!, node: people[lease.node]! };
        return {
          id: `${id}.${index}`,
          by: people[0]!,
          author: people[1]!,
          kind: 'kind',
          body: { text: id, number },
          ...flags,
          keyUpdates: [
            ...sets.map(([key, to]): [string, Json] => [keys[key]!, to]),
            ...(leased ? [[leased.key, id] as [string, Json]] : []),
          ],
          eraseSeqs,
          ...(leased && { lease: leased }),
          tickets: tickets.map(({ holder, key, value: left, ttl }) => ({
            holder: people[holder]!,
            key: keys[key]!,
            value: left,
            ...(ttl !== null && { ttl }),
          })),
          ...(endsRoom && index === changes.length - 1 && { endsRoom }),
        };
      }),
    };
  }

  /** As JSON, with ordered maps and sets, without clocks, and with epochs by their order. */
  #plain(answer: unknown): unknown {
    const text = JSON.stringify(answer, (name, each: unknown) => {
      if (name === 'hlc') return undefined;
      if (name === 'epoch' && typeof each === 'string') return this.#number(each);
      if (each instanceof Map || each instanceof Set) return [...(each as Iterable<unknown>)].sort();
      return each;
    });
    return JSON.parse(text) as unknown;
  }

  #number(epoch: string): number {
    const number = this.#epochs.get(epoch) ?? this.#epochs.size + 1;
    this.#epochs.set(epoch, number);
    return number;
  }
}
