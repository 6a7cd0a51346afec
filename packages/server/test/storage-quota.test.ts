/** What a store holds at most, on real sockets: what adds is refused, members go on reading, and freed space lets writing go on. */
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { AYA, BEN, exceeded, goesOnReading, KB, ROOM, sayUntilRefused } from './helpers/quotas.ts';
import { ask, connect, done, heard, refused, startServer, until } from './helpers/server.ts';
import { stores } from './helpers/stores.ts';

describe.each(stores)('on the %s store', (_, open) => {
  test('a store that holds as much as it may: what adds is refused, members read and come back, newcomers may read, and space that is freed is used', async () => {
    const store = await open();
    const lines: Record<string, unknown>[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
    const told = () => lines.filter(({ setting }) => setting === '--quota-total-bytes').map(({ msg }) => msg);
    const before = (await store.usage()).bytes;
    const quotaTotalBytes = before + 4_000 * KB;
    const { url } = await startServer({ store, log, limits: 'off', grace: 200, usageEvery: 1, quotaTotalBytes });
    const [aya, ben] = [await connect(url), await connect(url)];
    const { session } = await done(aya, 'create:room', AYA);
    const joined = await done(ben, 'add:member', BEN);
    await done(aya, 'create:room', { roomId: 'big', username: 'aya' });
    const { seq: chatSeq } = await done(ben, 'create:chat', { ...BEN, message: 'before' });
    const { error } = await sayUntilRefused(aya, 'aya', 11 * KB);
    expect(error).toMatchObject(exceeded(/server keeps as much/));
    expect(told().slice(-1)).toEqual(['a quota is used up: what would exceed it is refused']);

    for (const refusal of [
      await refused(ben, 'create:chat', { ...BEN, message: 'x' }),
      await refused(ben, 'update:chat', { ...BEN, chatSeq, message: 'x' }),
      await refused(aya, 'add:reaction', { ...AYA, chatSeq, reaction: '👍' }),
      await refused(aya, 'update:room', { ...AYA, topic: 'x' }),
      await refused(aya, 'create:room', { roomId: 'another room', username: 'aya' }),
    ])
      expect(refusal).toMatchObject(exceeded(/server keeps as much/));
    await goesOnReading(url, session, 'aya');
    ben.disconnect();
    await heard(aya, 'remove:member:success');
    await goesOnReading(url, joined.session, 'ben');
    await done(await connect(url), 'add:member', { ...ROOM, username: 'cho' });
    await done(aya, 'update:room', { ...AYA, retention: { maxCount: 1_000 } });

    await done(aya, 'delete:room', AYA);
    const big = { roomId: 'big', username: 'aya' };
    await until(async () => (await ask(aya, 'create:chat', { ...big, message: 'after' })).ok, 'there is space in the store');
    await until(() => told().includes('a quota has space again'), 'the operator hears that there is space');
    const atEnd = told();
    for (const message of ['a quota is nearly used up', 'a quota is used up: what would exceed it is refused'])
      expect(atEnd.filter((each) => each === message).length, message).toBeLessThanOrEqual(1);
  });

  test('a store that holds a tenth more than it may takes nobody in, and members who are there read, leave and delete', async () => {
    const store = await open();
    const before = await startServer({ store, grace: 200 });
    const [aya, ben] = [await connect(before.url), await connect(before.url)];
    const { session } = await done(aya, 'create:room', AYA);
    const { seq: chatSeq, epoch } = await done(aya, 'create:chat', { ...AYA, message: '部'.repeat(4_000) });
    const lapsed = await done(ben, 'add:member', BEN);
    ben.disconnect();
    await heard(aya, 'remove:member:success');

    const quotaTotalBytes = Math.ceil((await store.usage()).bytes / 2);
    const { url } = await startServer({ store, usageEvery: 1, quotaTotalBytes });
    const again = await connect(url, { auth: { session } });
    await done(again, 'resume:rooms', { rooms: [{ ...AYA, epoch, seq: 0 }] });
    const refusal = exceeded(/server keeps as much/);
    await until(async () => !(await ask(again, 'create:chat', { ...AYA, message: 'x' })).ok, 'it is known that the quota is used up');
    const back = await connect(url, { auth: { session: lapsed.session } });
    const [room] = (await done(back, 'resume:rooms', { rooms: [{ ...BEN, epoch, seq: 0 }] })).rooms;
    expect(room).toMatchObject({ outcome: 'refused', error: refusal });
    expect(await refused(back, 'add:member', BEN)).toMatchObject(refusal);
    expect(await refused(again, 'update:room', { ...AYA, retention: {} })).toMatchObject(refusal);
    await done(again, 'add:member', AYA);
    await done(again, 'delete:chat', { ...AYA, chatSeq });
    expect((await done(again, 'list:chats', ROOM)).chats[0]).toMatchObject({ seq: chatSeq, deleted: true });
    await done(again, 'remove:member', AYA);
  });
});
