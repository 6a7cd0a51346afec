/** The number of names in rooms of one network address, over all of its connections. */
import { LIMITS, type RequestPayload } from '@engawa/protocol';
import { connectRaw, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { connect, requestError, requestOk, sendRequest, startServer, until } from '@engawa/testkit/processes/server';
import { newStore } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { AddressBudgets } from '#limits/address-budgets.js';
import { ATTACKER_HEADERS, forwardedFor, ROOM, startWithBystanders } from './helpers/bystanders.ts';

const { perAddress, rates, largeRoom, namesPerRoom } = LIMITS;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

interface Answered {
  ok: boolean;
  error?: { code: string };
}
const tally = (answers: Answered[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { ok, error } of answers) counts[ok ? 'ok' : String(error?.code)] = (counts[ok ? 'ok' : String(error?.code)] ?? 0) + 1;
  return counts;
};

async function group(url: string, connections: number, headers = ATTACKER_HEADERS): Promise<Socket[]> {
  return Promise.all(upTo(connections).map(() => connect(url, { extraHeaders: headers })));
}

test('one address cannot make the room of another owner large, whatever its number of connections and names', async () => {
  const { url, aya, store, expectUnharmed } = await startWithBystanders();
  const sockets = await group(url, 46);
  const names = 912;
  const joins = upTo(names).map((each) =>
    sendRequest(sockets[each % sockets.length]!, 'add:member', { roomId: ROOM, username: `name ${each}` }),
  );
  const counts = tally(await Promise.all(joins));
  expect(counts.ok).toBeLessThanOrEqual(perAddress.membersPerRoom + sockets.length);
  const { keys } = await store.listKeys(ROOM, 'member', { limit: 500 });
  expect(keys.length).toBeLessThan(largeRoom);
  // A client of another address joins as before.
  const other = await connect(url, { extraHeaders: forwardedFor('203.0.113.50') });
  await requestOk(other, 'add:member', { roomId: ROOM, username: 'other' });
  expect((await requestOk(aya, 'list:members', { roomId: ROOM })).count).toBe(keys.length + 1);
  await expectUnharmed();
});

test('fifty members of one office join a room at once, and again after all of them have dropped', async () => {
  const { url, io } = await startWithBystanders();
  const others = io.engine.clientsCount;
  const sockets = await group(url, perAddress.connections);
  const join = (socket: Socket, each: number) => sendRequest(socket, 'add:member', { roomId: ROOM, username: `person ${each}` });
  const joined = await Promise.all(sockets.map(join));
  expect(tally(joined)).toEqual({ ok: perAddress.connections });
  for (const socket of sockets) socket.disconnect();
  await until(() => io.engine.clientsCount === others, 'their connections have ended');
  const again = await Promise.all(
    joined.map((answer) => connect(url, { extraHeaders: ATTACKER_HEADERS, auth: { session: answer.ok ? answer.session : '' } })),
  );
  expect(tally(await Promise.all(again.map(join)))).toEqual({ ok: perAddress.connections });
  // Requesting an own name again is not a join.
  for (const _round of upTo(3)) expect(tally(await Promise.all(again.map(join)))).toEqual({ ok: perAddress.connections });
});

test('the names of an address in a room count while they are connected, and members who leave free theirs', async () => {
  const { url } = await startWithBystanders({ rateLimits: 'on' });
  const most = perAddress.membersPerRoom;
  const sockets = await group(url, 9);
  const nameOf = (each: number): RequestPayload<'add:member'> => ({ roomId: ROOM, username: `name ${each}` });
  for (const each of upTo(most)) await requestOk(sockets[each % sockets.length]!, 'add:member', nameOf(each));
  expect((await requestError(sockets[0]!, 'add:member', nameOf(most))).code).toBe('too_many_names');
  expect(await sendRequest(sockets[0]!, 'add:member', nameOf(0)), 'an own name is no other one').toMatchObject({ ok: true });
  await requestOk(sockets[0]!, 'remove:member', nameOf(0));
  await requestOk(sockets[0]!, 'add:member', nameOf(most));
  sockets[1]?.disconnect();
  await until(async () => (await sendRequest(sockets[2]!, 'add:member', nameOf(most + 1))).ok, 'there is room');
});

test('names that return by session recovery or resume count too', async () => {
  const store = await newStore();
  const before = await startServer({ store, rateLimits: 'off' });
  const raw = await connectRaw(await openRawWebSocket(before.url));
  const names = upTo(perAddress.membersPerRoom + 3).map((each) => `name ${each}`);
  for (const [each, username] of names.entries())
    await raw.send(`42${each}["${each === 0 ? 'create:room' : 'add:member'}",{"roomId":"den","username":"${username}"}]`);
  const last = await raw.waitForPacket(new RegExp(`add:member:success.*${names.at(-1)}`));
  const { pid } = JSON.parse(raw.received.find((packet) => packet.startsWith('40'))!.slice(2)) as { pid: string };
  const auth = { pid, offset: (JSON.parse(last.slice(2)) as [string, object, string])[2] };
  await before.stop();

  const { url } = await startServer({ store });
  const back = await connectRaw(await openRawWebSocket(url), JSON.stringify(auth));
  expect(back.received.join(), 'it is admitted, and not recovered').not.toContain(pid);
  const socket = await connect(url, { auth });
  const { epoch } = await store.read('den', {});
  const outcomes: string[] = [];
  for (const username of names) {
    const [room] = (await requestOk(socket, 'resume:rooms', { rooms: [{ roomId: 'den', username, epoch: String(epoch), seq: 0 }] })).rooms;
    outcomes.push(room?.outcome === 'refused' ? room.error.code : String(room?.outcome));
  }
  const accepted = outcomes.slice(0, perAddress.membersPerRoom);
  expect([new Set(accepted), new Set(outcomes.slice(accepted.length))]).toEqual([new Set(['caught_up']), new Set(['too_many_names'])]);
});

test('one connection has a hundred names in a room at most, also where addresses are not limited', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await connect(url);
  await requestOk(socket, 'create:room', { roomId: 'den', username: 'name 0' });
  for (const each of upTo(namesPerRoom).slice(1)) await requestOk(socket, 'add:member', { roomId: 'den', username: `name ${each}` });
  expect((await requestError(socket, 'add:member', { roomId: 'den', username: 'one more' })).code).toBe('too_many_names');
  await requestOk(socket, 'create:room', { roomId: 'other', username: 'one more' });
});

describe('join budgets of an address', () => {
  test('joins of all rooms together have a rate, and joins of each room have one', () => {
    const address = new AddressBudgets(perAddress);
    const joinsOf = (roomId: (each: number) => string): number => {
      let joined = 0;
      try {
        for (; joined < 10_000; joined += 1) address.takeJoinToken(roomId(joined));
      } catch (error) {
        expect(error).toMatchObject({ code: 'rate_limited' });
      }
      return joined;
    };
    const inOne = joinsOf(() => 'one');
    expect(inOne).toBe(perAddress.roomJoins.burst);
    const elsewhere = joinsOf((each) => `room ${each}`);
    expect(inOne + elsewhere).toBeGreaterThanOrEqual(perAddress.joins.burst);
    expect(inOne + elsewhere).toBeLessThanOrEqual(perAddress.joins.burst + 5);
  });

  test('an office that opens ten rooms each at the same moment is admitted', () => {
    const address = new AddressBudgets(perAddress);
    for (const person of upTo(perAddress.connections)) for (const room of upTo(10)) address.takeJoinToken(`room ${(person + room) % 30}`);
  });

  test('the connections of an address are in a limited number of rooms', () => {
    const address = new AddressBudgets(perAddress);
    for (const each of upTo(perAddress.memberships)) {
      address.requireRoomLimit(1);
      address.addName(`room ${each}`, true);
    }
    expect(() => address.requireRoomLimit(1)).toThrow('the maximum number of rooms');
    expect(address.isIdle).toBe(false);
    for (const each of upTo(perAddress.memberships)) address.removeName(`room ${each}`, true);
    address.requireRoomLimit(perAddress.memberships);
    expect(address.isIdle).toBe(true);
    expect(address.nameCount('room 0')).toBe(0);
  });

  test('limits that are lifted are not counted', () => {
    const lifted = Object.fromEntries(Object.keys(perAddress).map((name) => [name, null])) as unknown as typeof perAddress;
    const address = new AddressBudgets(lifted);
    for (const each of upTo(10 * rates.joins.burst)) {
      address.takeJoinToken('one');
      address.requireRoomLimit(1);
      address.requireNameLimit('one', 1);
      address.addName('one', each === 0);
    }
    expect(address.nameCount('one')).toBe(0);
  });
});
