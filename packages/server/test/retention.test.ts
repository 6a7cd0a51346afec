/** A retention policy removes exactly the entries that it names, for any history of the log. */
import { randomUUID } from 'node:crypto';
import type { Retention } from '@engawa/protocol';
import { type Draft, openMemory, type Store } from '@engawa/server';
import { withOverrides } from '@engawa/testkit/processes/server';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bodyBytes, planTrim, readEffectiveRetention } from '#domain/retention.js';

const ROOM = 'den';

/** A log, and a reference model of it. */
class Setup {
  now = 1_700_000_000_000;
  readonly store: Store = openMemory({ clock: () => this.now });
  epoch: string | null = null;
  /** All entries ever; null once trimmed. */
  readonly entries: ({ at: number; bytes: number } | null)[] = [];
  #latestAt = 0;

  async add(size: number, eraseSeqs: number[] = []): Promise<void> {
    const body = { text: 'あ'.repeat(size) };
    const draft: Draft = { id: randomUUID(), by: 'aya', author: 'aya', kind: 'create:chat', body, eraseSeqs };
    const appended = await this.store.append(ROOM, { epoch: this.epoch, expectedVersions: [], drafts: [draft] });
    if (appended.outcome === 'stale') throw new Error('The append was stale.');
    this.epoch = appended.epoch;
    // The time of entries never goes back, even if the clock does.
    this.#latestAt = Math.max(this.#latestAt, this.now);
    this.entries.push({ at: this.#latestAt, bytes: Buffer.byteLength(JSON.stringify(body)) });
    for (const seq of eraseSeqs) {
      const erased = this.entries[seq - 1];
      if (erased) erased.bytes = 0;
    }
  }

  async trim(below: number): Promise<void> {
    await this.store.trim(ROOM, { epoch: String(this.epoch), below });
    this.entries.fill(null, 0, Math.max(below - 1, 0));
  }

  /** The same answer by a full scan from the newest entry. */
  firstToStay({ maxAge = Infinity, maxCount = Infinity, maxBytes = Infinity }: Retention): number {
    const there = this.entries.flatMap((entry, index) => (entry ? [{ seq: index + 1, ...entry }] : []));
    const oldest = there[0]?.seq ?? this.entries.length + 1;
    const staysBy = (holds: (newest: { at: number; bytes: number }[], entry: { at: number }) => boolean): number =>
      there.find((entry, index) => holds(there.slice(index), entry))?.seq ?? this.entries.length + 1;
    return Math.max(
      oldest,
      staysBy((_, entry) => this.now - entry.at <= maxAge),
      staysBy((newest) => newest.length <= maxCount),
      staysBy((newest) => newest.reduce((sum, { bytes }) => sum + bytes, 0) <= maxBytes),
    );
  }
}

type Happening = ['add', number] | ['wait', number] | ['erase', number] | ['trim', number];

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('add' as const), fc.nat(200)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('wait' as const), fc.integer({ min: -2_000, max: 30_000 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('erase' as const), fc.nat(60)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('trim' as const), fc.nat(60)) },
);
const limited = (min: number, max: number) => fc.option(fc.integer({ min, max }), { nil: undefined });
const policies: fc.Arbitrary<Retention> = fc.record({
  maxAge: limited(1, 400_000),
  maxCount: limited(1, 60),
  maxBytes: limited(1, 20_000),
});

async function happen(setup: Setup, [what, amount]: Happening): Promise<void> {
  if (what === 'add') await setup.add(amount);
  if (what === 'wait') setup.now += amount;
  if (what === 'erase') await setup.add(0, [Math.min(amount, setup.entries.length)]);
  if (what === 'trim') await setup.trim(Math.min(amount, setup.entries.length + 1));
}

async function after(happenings: Happening[]): Promise<Setup> {
  const setup = new Setup();
  await setup.add(3);
  for (const each of happenings) await happen(setup, each);
  return setup;
}

const logs = fc.array(happening, { maxLength: 120, size: 'max' });

describe('the entries that stay', () => {
  test('are exactly those of the policy', async () => {
    let goes = 0;
    await fc.assert(
      fc.asyncProperty(logs, policies, async (happenings, policy) => {
        const setup = await after(happenings);
        const verdict = await planTrim(setup.store, ROOM, policy);
        const oldest = setup.entries.filter((entry) => entry === null).length + 1;
        const bytes = setup.entries.reduce((sum, entry) => sum + (entry?.bytes ?? 0), 0);
        expect(verdict).toMatchObject({
          epoch: setup.epoch,
          head: setup.entries.length,
          oldest,
          bytes,
          keepFrom: setup.firstToStay(policy),
        });
        if (Number(verdict?.keepFrom) > oldest) goes += 1;
      }),
      { numRuns: 400 },
    );
    expect(goes, 'something went').toBeGreaterThan(50);
  });

  test('do not change after a trim, until time passes', async () => {
    let waits = 0;
    await fc.assert(
      fc.asyncProperty(logs, policies, async (happenings, policy) => {
        const setup = await after(happenings);
        const verdict = await planTrim(setup.store, ROOM, policy);
        await setup.trim(Number(verdict?.keepFrom));
        const settled = await planTrim(setup.store, ROOM, policy);
        expect(settled).toMatchObject({ oldest: verdict?.keepFrom, keepFrom: verdict?.keepFrom });
        const lasts = Number(settled?.validForMs);
        expect(lasts).toBeGreaterThan(0);
        if (lasts === Infinity) return;
        waits += 1;
        setup.now += lasts - 1;
        expect(await planTrim(setup.store, ROOM, policy)).toMatchObject({ keepFrom: settled?.oldest, validForMs: 1 });
        setup.now += 1;
        expect(Number((await planTrim(setup.store, ROOM, policy))?.keepFrom)).toBeGreaterThan(Number(settled?.oldest));
      }),
      { numRuns: 200 },
    );
    expect(waits, 'for some time had to pass').toBeGreaterThan(20);
  });

  test('are the same for portions of any size', async () => {
    await fc.assert(
      fc.asyncProperty(logs, policies, fc.integer({ min: 1, max: 40 }), async (happenings, policy, limit) => {
        const setup = await after(happenings);
        const stays = setup.firstToStay(policy);
        for (;;) {
          const verdict = await planTrim(setup.store, ROOM, policy, limit);
          const goes = Number(verdict?.keepFrom) - Number(verdict?.oldest);
          expect(goes).toBeLessThanOrEqual(limit);
          if (goes === 0) break;
          await setup.trim(Number(verdict?.keepFrom));
        }
        expect((await setup.store.readPage(ROOM, { limit: 1 })).oldest).toBe(stays);
      }),
      { numRuns: 200 },
    );
  });

  test('are never fewer than the policy says, under any change of the log meanwhile', async () => {
    let differed = 0;
    const someOf = fc.integer({ min: 1, max: 99 });
    await fc.assert(
      fc.asyncProperty(logs, someOf, fc.array(happening, { minLength: 1, maxLength: 30 }), async (happenings, percent, meanwhile) => {
        const setup = await after(happenings);
        const { bytes } = await setup.store.readPage(ROOM, { limit: 1 });
        const policy = percent % 3 === 0 ? { maxAge: 4_000 * percent } : { maxBytes: Math.ceil((bytes * percent) / 100) };
        const allowed = [setup.firstToStay(policy)];
        const thenHappens = async <Answer>(answer: Promise<Answer>): Promise<Answer> => {
          const answered = await answer;
          const next = meanwhile.shift();
          if (next) await happen(setup, next);
          allowed.push(setup.firstToStay(policy));
          return answered;
        };
        // Pages are short, so that many writes come between them.
        const changing = withOverrides(setup.store, {
          read: (room, ask) => thenHappens(setup.store.read(room, ask)),
          readPage: (room, ask) => thenHappens(setup.store.readPage(room, { ...ask, limit: Math.min(ask.limit, 3) })),
        });
        const verdict = await planTrim(changing, ROOM, policy);
        expect(Number(verdict?.keepFrom)).toBeLessThanOrEqual(Math.max(...allowed));
        if (verdict?.keepFrom !== allowed[0]) differed += 1;
      }),
      { numRuns: 400 },
    );
    expect(differed, 'what happened made a difference').toBeGreaterThan(10);
  });
});

test('another epoch of the room is not judged by reads of the former one', async () => {
  for (const policy of [{ maxAge: 5_000 }, { maxBytes: 50 }]) {
    const setup = await after(
      Array.from({ length: 100 }, (): Happening[] => [
        ['add', 10],
        ['wait', 1_000],
      ]).flat(),
    );
    let reads = 0;
    const forking = async <Answer>(answer: Promise<Answer>): Promise<Answer> => {
      const answered = await answer;
      reads += 1;
      if (reads === 1) await setup.store.startNewEpoch(ROOM, String(setup.epoch));
      return answered;
    };
    const store = withOverrides(setup.store, {
      read: (room, ask) => forking(setup.store.read(room, ask)),
      readPage: (room, ask) => forking(setup.store.readPage(room, ask)),
    });
    expect(await planTrim(store, ROOM, policy)).toBe(null);
    expect(reads).toBe(2);
  }
  expect(await planTrim(openMemory(), 'nowhere', { maxCount: 1 })).toBe(null);
});

test('the cost of a policy does not depend on the length of the log', async () => {
  const setup = new Setup();
  for (let index = 0; index < 20_000; index += 1) {
    await setup.add(10);
    setup.now += 1_000;
  }
  const entrySize = setup.entries[0]?.bytes ?? 0;
  const cost = async (policy: Retention) => {
    let [asked, entries] = [0, 0];
    const store = withOverrides(setup.store, {
      async read(room, ask) {
        asked += 1;
        entries += ask.seqs?.length ?? 0;
        return setup.store.read(room, ask);
      },
      async readPage(room, ask) {
        asked += 1;
        const page = await setup.store.readPage(room, ask);
        entries += page.entries.length;
        return page;
      },
    });
    const verdict = await planTrim(store, ROOM, policy);
    return { goes: Number(verdict?.keepFrom) - 1, asked, entries };
  };
  expect(await cost({ maxCount: 5 })).toEqual({ goes: 19_995, asked: 1, entries: 1 });
  expect(await cost({ maxCount: 30_000, maxAge: 20_000_000, maxBytes: 20_000 * entrySize })).toEqual({ goes: 0, asked: 1, entries: 1 });
  const byAge = await cost({ maxAge: 10_000_000 });
  expect(byAge.goes).toBe(10_000);
  expect(byAge.asked).toBeLessThan(8);
  expect(byAge.entries).toBeLessThan(100);
  expect(await cost({ maxBytes: 19_900 * entrySize })).toEqual({ goes: 100, asked: 2, entries: 501 });
});

test('of the limits of operator and owner the stricter applies', async () => {
  const store = openMemory();
  const set = async (retention: Retention) => {
    const { epoch } = await store.read(ROOM, {});
    const settings = { owner: 'aya', topic: '', retention: { ...retention } as Record<string, number> };
    const draft: Draft = {
      id: randomUUID(),
      by: 'aya',
      author: 'aya',
      kind: 'update:room',
      body: {},
      keyUpdates: [['settings', settings]],
    };
    await store.append(ROOM, { epoch, expectedVersions: [], drafts: [draft] });
  };
  expect(await readEffectiveRetention(store, ROOM, { maxCount: 7 })).toEqual({ maxCount: 7 });
  await set({ maxAge: 60_000, maxCount: 10 });
  expect(await readEffectiveRetention(store, ROOM, {})).toEqual({ maxAge: 60_000, maxCount: 10 });
  expect(await readEffectiveRetention(store, ROOM, { maxCount: 7, maxBytes: 100 })).toEqual({ maxAge: 60_000, maxCount: 7, maxBytes: 100 });
  await set({});
  expect(await readEffectiveRetention(store, ROOM, { maxCount: 7 })).toEqual({ maxCount: 7 });
});

test('bytes are counted as the store counts them', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), { minLength: 1, maxLength: 8 }),
      async (bodies) => {
        const store = openMemory();
        const drafts = bodies.map((body): Draft => ({ id: randomUUID(), by: 'a', author: 'a', kind: 'k', body: body as Draft['body'] }));
        await store.append(ROOM, { epoch: null, expectedVersions: [], drafts });
        const { entries, bytes } = await store.readPage(ROOM, { limit: 10 });
        expect(entries.reduce((sum, entry) => sum + bodyBytes(entry), 0)).toBe(bytes);
      },
    ),
  );
});
