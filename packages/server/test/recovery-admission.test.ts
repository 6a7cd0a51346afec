/** Session recovery of plain Socket.IO clients: a client that is not admitted costs no search, and an admitted one a bounded search. */
import { LIMITS } from '@engawa/protocol';
import type { Store } from '@engawa/server';
import { connectRaw, openRawWebSocket, type RawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { connect, newClient, startServer, until } from '@engawa/testkit/processes/server';
import { newStore, storeKinds } from '@engawa/testkit/stores';
import { describe, expect, test } from 'vitest';
import { ATTACKER_HEADERS, startWithBystanders } from './helpers/bystanders.ts';
import { createCountingStore } from './helpers/counting.ts';

const { perAddress } = LIMITS;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const roomOf = (index: number): string => `room ${String(index).padStart(3, '0')}`;

/** What a plain Socket.IO client sends in its handshake when it reconnects. */
interface Shown {
  pid: string;
  offset: string;
}

/** A session in many rooms that received an entry in the last of them. */
async function resident(store: Store, rooms: number): Promise<{ store: Store; auth: Shown }> {
  const { url, stop } = await startServer({ store, rateLimits: 'off' });
  const raw = await connectRaw(await openRawWebSocket(url));
  const { pid } = JSON.parse(raw.received.find((packet) => packet.startsWith('40'))!.slice(2)) as { pid: string };
  for (const index of upTo(rooms)) await raw.send(`42["create:room",{"roomId":"${roomOf(index)}","username":"aya"}]`);
  const last = await raw.waitForPacket(new RegExp(`add:member:success.*"${roomOf(rooms - 1)}"`));
  const [, , offset] = JSON.parse(last.slice(2)) as [string, object, string];
  await stop();
  return { store, auth: { pid, offset } };
}

/** Connects like a plain Socket.IO client: it counts as recovered when the answer has the `pid` that it sent. */
async function comeBack(
  url: string,
  auth: Shown,
  headers: Record<string, string> = {},
): Promise<{ raw: RawWebSocket; isRecovered: boolean }> {
  const raw = await connectRaw(await openRawWebSocket(url, { headers }), JSON.stringify(auth));
  return { raw, isRecovered: connectsOf(raw)[0]?.pid === auth.pid };
}

const connectsOf = (raw: RawWebSocket): Shown[] =>
  raw.received.flatMap((packet) => (packet.startsWith('40') ? [JSON.parse(packet.slice(2)) as Shown] : []));

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('for a client that is refused at the handshake nothing is searched', async () => {
    const { store: inner, auth } = await resident(await open(), 3);
    const { store, calls, reset } = createCountingStore(inner);
    const { url } = await startServer({ store });
    await Promise.all(upTo(perAddress.connections).map(() => connect(url)));
    reset();
    const refusals = upTo(20).map(
      () =>
        new Promise((resolve) =>
          newClient(url, { auth: { ...auth, retries: true } }).once('connect_error', (error) =>
            resolve((error as { data?: unknown }).data),
          ),
        ),
    );
    for (const refusal of await Promise.all(refusals)) expect(refusal).toMatchObject({ code: 'too_many_connections' });
    expect(calls.listTickets).toBe(0);
  });

  test('a connection is recovered once, for any number of connect packets', async () => {
    const { store: inner, auth } = await resident(await open(), 3);
    const { store, calls, reset } = createCountingStore(inner);
    const { url } = await startServer({ store });
    const raw = await openRawWebSocket(url);
    reset();
    await raw.send(...upTo(9).map(() => `40${JSON.stringify(auth)}`));
    await until(() => connectsOf(raw).length === 9, 'all are answered');
    expect(connectsOf(raw).filter(({ pid }) => pid === auth.pid)).toHaveLength(1);
    expect(calls.listTickets).toBe(1);
  });

  test('the search ends soon after the first room that cannot be resumed', async () => {
    const { store: inner, auth } = await resident(await open(), 200);
    // The missed entries of the first room are trimmed.
    const { epoch } = await inner.read(roomOf(0), {});
    const missed = { id: 'x', by: 'ben', author: 'ben', kind: 'create:chat', body: { message: 'missed' } };
    await inner.append(roomOf(0), { epoch, expectedVersions: [], drafts: [missed] });
    await inner.trim(roomOf(0), { epoch: String(epoch), below: 4 });
    const { store, calls, reset } = createCountingStore(inner);
    const { url } = await startServer({ store });
    reset();
    const { raw, isRecovered } = await comeBack(url, auth);
    expect(isRecovered).toBe(false);
    expect(calls.read + calls.readPage).toBeLessThan(50);
    await raw.send(`421["add:member",{"roomId":"${roomOf(1)}","username":"aya"}]`);
    await raw.waitForPacket(/^431\[\{"ok":true/);
  });

  test('the rooms of a session are searched and resumed in slices', async () => {
    const { store, auth } = await resident(await open(), 200);
    const { url } = await startServer({ store });
    let turns = 0;
    let isGoing = true;
    const turn = (): void => {
      turns += 1;
      if (isGoing) setImmediate(turn);
    };
    setImmediate(turn);
    const { raw, isRecovered } = await comeBack(url, auth);
    expect(isRecovered).toBe(true);
    // Requests are answered once all rooms are rejoined.
    await raw.send('421["list:rooms",{}]');
    await raw.waitForPacket(/^431/);
    isGoing = false;
    expect(turns).toBeGreaterThan((2 * 200) / 16);
  });

  test('a client in a thousand rooms is recovered', async () => {
    const { store, auth } = await resident(await open(), LIMITS.roomsPerConnection);
    const { url } = await startServer({ store });
    const { raw, isRecovered } = await comeBack(url, auth);
    expect(isRecovered).toBe(true);
    await raw.send(`421["create:chat",{"roomId":"${roomOf(999)}","username":"aya","message":"here"}]`);
    await raw.waitForPacket(/create:chat:success/);
  });
});

test('an address that repeatedly reconnects to many rooms is admitted, but recovered within its budget of rooms', async () => {
  const rooms = 500;
  const { store, auth } = await resident(await newStore(), rooms);
  const { url, expectUnharmed } = await startWithBystanders({ store });
  let recovered = 0;
  const most = Math.floor(perAddress.resumes.burst / rooms);
  for (const _round of upTo(most + 10)) {
    const { raw, isRecovered } = await comeBack(url, auth, ATTACKER_HEADERS);
    if (isRecovered) recovered += 1;
    raw.socket.terminate();
  }
  expect(recovered).toBeGreaterThanOrEqual(most - 1);
  expect(recovered).toBeLessThan(most + 10);
  await expectUnharmed();
});
