/** The cost of resuming is bounded for each room, and does not limit real resumes. */
import { LIMITS, type RequestPayload } from '@engawa/protocol';
import type { Store } from '@engawa/server';
import { connect, requestOk, sendRequest, startServer, until } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { AddressBudgets } from '#limits/address-budgets.js';
import { ATTACKER_HEADERS, startWithBystanders } from './helpers/bystanders.ts';
import { createCountingStore } from './helpers/counting.ts';
import { newConnection } from './helpers/peers.ts';

const { rates, perAddress, roomsPerResume } = LIMITS;
type Held = RequestPayload<'resume:rooms'>['rooms'][number];

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const unknownClients = (count: number, from = 0): Held[] =>
  upTo(count).map((index) => ({ roomId: `nowhere ${from + index}`, username: 'x', epoch: 'x', seq: 0 }));

describe.each(storeKinds)('on the %s store', (_, open) => {
  /** A client that has joined many rooms on a server without rate limits. */
  async function resident(rooms: number): Promise<{ store: Store; session: string; held: Held[] }> {
    const { url, store, stop } = await startServer({ store: await open(), rateLimits: 'off' });
    const socket = await connect(url);
    let session = '';
    const held: Held[] = [];
    for (const index of upTo(rooms)) {
      const roomId = `room ${index}`;
      const joined = await requestOk(socket, 'create:room', { roomId, username: 'aya' });
      session = joined.session;
      held.push({ roomId, username: 'aya', epoch: joined.epoch, seq: joined.seq, id: joined.lastId });
    }
    await stop();
    return { store, session, held };
  }

  test('a packet of 200 rooms without membership reads the tickets once, and opens none of the rooms', async () => {
    const { store: inner, session } = await resident(50);
    const { store, calls, reset } = createCountingStore(inner);
    const { url } = await startServer({ store });
    const aya = await connect(url, { auth: { session } });
    const other = await connect(url);
    for (const index of upTo(10)) await requestOk(other, 'create:room', { roomId: `theirs ${index}`, username: 'ben' });
    const theirs = upTo(10).map((index): Held => ({ roomId: `theirs ${index}`, username: 'aya', epoch: 'x', seq: 0 }));
    reset();
    const { rooms } = await requestOk(aya, 'resume:rooms', { rooms: [...unknownClients(roomsPerResume - 10), ...theirs] });
    expect(new Set(rooms.map((room) => room.outcome === 'refused' && room.error.code))).toEqual(
      new Set(['room_not_found', 'not_a_member']),
    );
    expect(calls).toMatchObject({ listTickets: 1, append: 0 });
    expect(calls.read).toBeLessThan(roomsPerResume + 10);
    // Rooms are compared with their logs periodically.
    expect(calls.readPage).toBeLessThan(10);
  });

  test('a member who resumes all rooms after all leases expired reads the tickets once for each packet', async () => {
    const { store: inner, session, held } = await resident(40);
    for (const { roomId } of held) {
      const { epoch, keys } = await inner.read(roomId, { keys: ['member/aya'] });
      const { author } = keys.get('member/aya')!.value as { author: string };
      const ticket = { holder: author, key: 'member/aya', value: { username: 'aya' }, ttl: 60_000 };
      const gone = { id: `${roomId} gone`, by: 'aya', author, kind: 'remove:member', body: { username: 'aya', reason: 'timed_out' } };
      await inner.append(roomId, {
        epoch,
        expectedVersions: [],
        drafts: [{ ...gone, keyUpdates: [['member/aya', null]], tickets: [ticket] }],
      });
    }
    const { store, calls, reset } = createCountingStore(inner);
    const { url } = await startServer({ store });
    const aya = await connect(url, { auth: { session } });
    reset();
    const { rooms } = await requestOk(aya, 'resume:rooms', { rooms: held });
    expect(rooms.map(({ outcome }) => outcome)).toEqual(held.map(() => 'caught_up'));
    expect(calls.listTickets).toBe(1);
  });

  test('a member who was removed during the resume of their other rooms gets that answer, and does not rejoin', async () => {
    const { store, session, held } = await resident(1);
    const { url } = await startServer({ store });
    const [owner, ben] = [await connect(url, { auth: { session } }), await connect(url)];
    await requestOk(owner, 'add:member', { roomId: 'room 0', username: 'aya' });
    const joined = await requestOk(ben, 'add:member', { roomId: 'room 0', username: 'ben' });
    await requestOk(owner, 'remove:member', { roomId: 'room 0', username: 'ben' });
    const mine: Held = { ...(held[0] as Held), username: 'ben', seq: joined.seq, id: joined.lastId };
    const { rooms } = await requestOk(ben, 'resume:rooms', { rooms: [...unknownClients(5), mine] });
    expect(rooms.at(-1)).toMatchObject({ outcome: 'refused', error: { code: 'removed' } });
    expect((await store.read('room 0', { keys: ['member/ben'] })).keys.size).toBe(0);
  });

  test('the rooms of one packet are processed in slices: other work runs between them', async () => {
    const { store, session, held } = await resident(roomsPerResume);
    const { url } = await startServer({ store });
    const aya = await connect(url, { auth: { session } });
    let turns = 0;
    let isGoing = true;
    const turn = (): void => {
      turns += 1;
      if (isGoing) setImmediate(turn);
    };
    setImmediate(turn);
    await requestOk(aya, 'resume:rooms', { rooms: held });
    isGoing = false;
    expect(turns).toBeGreaterThan(roomsPerResume / 16);
  });

  test('a client in a thousand rooms resumes all of them repeatedly, and is never refused', async () => {
    const { store, session, held } = await resident(LIMITS.roomsPerConnection);
    const { url } = await startServer({ store });
    for (const _round of upTo(2)) {
      const aya = await connect(url, { auth: { session } });
      for (let at = 0; at < held.length; at += roomsPerResume) {
        const { rooms } = await requestOk(aya, 'resume:rooms', { rooms: held.slice(at, at + roomsPerResume) });
        expect(new Set(rooms.map(({ outcome }) => outcome))).toEqual(new Set(['caught_up']));
      }
      aya.disconnect();
    }
  });
});

const resumes = (socket: Socket, packets: number): Promise<unknown[]> =>
  Promise.all(
    upTo(packets).map((each) => sendRequest(socket, 'resume:rooms', { rooms: unknownClients(roomsPerResume, each * roomsPerResume) })),
  );

interface Refused {
  error?: { code: string; retryAfterMs: number };
}
const refusalsIn = (answers: unknown[]) => (answers as Refused[]).flatMap(({ error }) => (error ? [error] : []));

test('a connection that resumes without need gets the time to wait after a number of rooms, and may still chat', async () => {
  const { url, expectUnharmed } = await startWithBystanders();
  const mallory = await connect(url, { extraHeaders: ATTACKER_HEADERS });
  const most = Math.floor(rates.resumes.burst / (roomsPerResume + 1));
  const refusals = refusalsIn(await resumes(mallory, most + 5));
  expect(refusals.length).toBeGreaterThan(0);
  for (const { code, retryAfterMs } of refusals) {
    expect(code).toBe('rate_limited');
    expect(retryAfterMs).toBeLessThanOrEqual((1000 * roomsPerResume) / rates.resumes.perSecond);
  }
  await requestOk(mallory, 'list:rooms', {});
  await until(async () => (await sendRequest(mallory, 'resume:rooms', { rooms: unknownClients(1) })).ok, 'it may resume again');
  await expectUnharmed();
});

test('so does an address that resumes without need over many connections; others are not limited by it', async () => {
  const { url, aya, expectUnharmed } = await startWithBystanders();
  const most = Math.floor(perAddress.resumes.burst / (roomsPerResume + 1));
  let refused = 0;
  for (let asked = 0; asked < most + 10; asked += 10) {
    const mallory = await connect(url, { extraHeaders: ATTACKER_HEADERS });
    refused += refusalsIn(await resumes(mallory, 10)).length;
  }
  expect(refused).toBeGreaterThan(0);
  expect(await sendRequest(aya, 'resume:rooms', { rooms: unknownClients(roomsPerResume) })).toMatchObject({ ok: true });
  await expectUnharmed();
});

test('deferred rooms cost nothing', () => {
  const address = { packets: undefined, budgets: new AddressBudgets(perAddress) };
  const connection = newConnection('a', { limits: LIMITS, address });
  for (let times = 0; times < 10 * rates.resumes.burst; times += 1) {
    connection.takeResumeTokens(2);
    connection.refundResumes(2);
  }
  connection.takeResumeTokens(rates.resumes.burst);
});

test('an office of fifty, each in fifty rooms, resumes three times within a moment', () => {
  const address = { packets: undefined, budgets: new AddressBudgets(perAddress) };
  for (const _round of upTo(3)) {
    for (const _client of upTo(perAddress.connections)) {
      const connection = newConnection('a', { limits: LIMITS, address });
      connection.takeRequestToken('resume:rooms');
      connection.takeResumeTokens(50);
    }
  }
});
