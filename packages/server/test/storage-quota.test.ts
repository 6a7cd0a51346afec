/** The storage quota, on real sockets: writes that add are refused, members still read, and freed space allows writes again. */

import { connect, nextEvent, requestError, requestOk, sendRequest, startServer, until } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { AYA, BEN, exceeded, expectReadable, KB, ROOM, sendUntilRefused } from './helpers/quotas.ts';

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('a full store refuses what adds; members read and resume, new clients may read, and freed space is used', async () => {
    const store = await open();
    const lines: Record<string, unknown>[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
    const received = () => lines.filter(({ setting }) => setting === '--quota-total-bytes').map(({ msg }) => msg);
    const before = (await store.usage()).bytes;
    const quotaTotalBytes = before + 4_000 * KB;
    const { url } = await startServer({ store, log, rateLimits: 'off', graceMs: 200, usageRefreshMs: 1, quotaTotalBytes });
    const [aya, ben] = [await connect(url), await connect(url)];
    const { session } = await requestOk(aya, 'create:room', AYA);
    const joined = await requestOk(ben, 'add:member', BEN);
    await requestOk(aya, 'create:room', { roomId: 'big', username: 'aya' });
    const { seq: chatSeq } = await requestOk(ben, 'create:chat', { ...BEN, message: 'before' });
    const { error } = await sendUntilRefused(aya, 'aya', 11 * KB);
    expect(error).toMatchObject(exceeded(/quota of this server is used up/));
    expect(received().slice(-1)).toEqual(['a quota is used up: requests that would exceed it are refused']);

    for (const refusal of [
      await requestError(ben, 'create:chat', { ...BEN, message: 'x' }),
      await requestError(ben, 'update:chat', { ...BEN, chatSeq, message: 'x' }),
      await requestError(aya, 'add:reaction', { ...AYA, chatSeq, reaction: '👍' }),
      await requestError(aya, 'update:room', { ...AYA, topic: 'x' }),
      await requestError(aya, 'create:room', { roomId: 'another room', username: 'aya' }),
    ])
      expect(refusal).toMatchObject(exceeded(/quota of this server is used up/));
    await expectReadable(url, session, 'aya');
    ben.disconnect();
    await nextEvent(aya, 'remove:member:success');
    await expectReadable(url, joined.session, 'ben');
    await requestOk(await connect(url), 'add:member', { ...ROOM, username: 'cho' });
    await requestOk(aya, 'update:room', { ...AYA, retention: { maxCount: 1_000 } });

    await requestOk(aya, 'delete:room', AYA);
    const big = { roomId: 'big', username: 'aya' };
    await until(async () => (await sendRequest(aya, 'create:chat', { ...big, message: 'after' })).ok, 'there is space in the store');
    await until(() => received().includes('a quota has free space again'), 'the log says that there is space');
    const atEnd = received();
    for (const message of ['a quota is nearly used up', 'a quota is used up: requests that would exceed it are refused'])
      expect(atEnd.filter((each) => each === message).length, message).toBeLessThanOrEqual(1);
  });

  test('a store a tenth beyond its quota admits no member, and members who are there read, leave and delete', async () => {
    const store = await open();
    const before = await startServer({ store, graceMs: 200 });
    const [aya, ben] = [await connect(before.url), await connect(before.url)];
    const { session } = await requestOk(aya, 'create:room', AYA);
    const { seq: chatSeq, epoch } = await requestOk(aya, 'create:chat', { ...AYA, message: '部'.repeat(4_000) });
    const expired = await requestOk(ben, 'add:member', BEN);
    ben.disconnect();
    await nextEvent(aya, 'remove:member:success');

    const quotaTotalBytes = Math.ceil((await store.usage()).bytes / 2);
    const { url } = await startServer({ store, usageRefreshMs: 1, quotaTotalBytes });
    const again = await connect(url, { auth: { session } });
    await requestOk(again, 'resume:rooms', { rooms: [{ ...AYA, epoch, seq: 0 }] });
    const refusal = exceeded(/quota of this server is used up/);
    await until(
      async () => !(await sendRequest(again, 'create:chat', { ...AYA, message: 'x' })).ok,
      'it is known that the quota is used up',
    );
    const back = await connect(url, { auth: { session: expired.session } });
    const [room] = (await requestOk(back, 'resume:rooms', { rooms: [{ ...BEN, epoch, seq: 0 }] })).rooms;
    expect(room).toMatchObject({ outcome: 'refused', error: refusal });
    expect(await requestError(back, 'add:member', BEN)).toMatchObject(refusal);
    expect(await requestError(again, 'update:room', { ...AYA, retention: {} })).toMatchObject(refusal);
    await requestOk(again, 'add:member', AYA);
    await requestOk(again, 'delete:chat', { ...AYA, chatSeq });
    expect((await requestOk(again, 'list:chats', ROOM)).chats[0]).toMatchObject({ seq: chatSeq, deleted: true });
    await requestOk(again, 'remove:member', AYA);
  });
});
