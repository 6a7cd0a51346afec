/** The window of a timeline on a real server: moved through a long log, while others send and edit chats. */
import { connect, type Room } from '@engawa/client';
import { findTimelineFaults } from '@engawa/testkit/checkers/timeline-check';
import { startServer, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';

const CHATS = 260;
const MAX_CHATS = 100;

async function join(url: string, username: string): Promise<Room> {
  const client = connect(url, { maxChats: MAX_CHATS });
  onTestFinished(() => client.close());
  return client.join('veranda', { username, create: true });
}

test('a window loads back to the first chat and ends there, stays live, jumps, and returns to the newest', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const [ben, aya] = [await join(url, 'ben'), await join(url, 'aya')];
  const { timeline } = aya;
  const texts = () => timeline.chats.map(({ message }) => message);
  for (let each = 0; each < CHATS; each += 1) ben.send(`${each}`);
  await until(() => texts().at(-1) === `${CHATS - 1}`, 'everything is delivered');
  expect([timeline.chats.length, timeline.hasOlder, timeline.hasNewer]).toEqual([MAX_CHATS, true, false]);

  for (let pages = 0; timeline.hasOlder; pages += 1) {
    expect(pages).toBeLessThan(CHATS / 50);
    await timeline.loadOlder();
  }
  expect([timeline.chats.length, texts()[0], timeline.hasNewer]).toEqual([MAX_CHATS, '0', true]);

  const first = timeline.chats[0]?.seq ?? 0;
  await ben.edit(first, 'edited');
  await until(() => texts()[0] === 'edited', 'the edit is shown');
  const own = aya.send('own');
  await own.settled;
  expect([texts()[0], texts().includes('own'), timeline.hasNewer]).toEqual(['edited', false, true]);

  const middle = first + CHATS / 2;
  expect(await timeline.around(middle, 20)).toEqual({ ok: true, added: 20 });
  expect(timeline.chats.some(({ seq }) => seq === middle)).toBe(true);
  expect(await findTimelineFaults(aya)).toEqual([]);

  await timeline.around(middle, 20);
  while (timeline.hasNewer) await timeline.loadNewer(30);
  expect([texts().at(-1), timeline.chats.length]).toEqual(['own', MAX_CHATS]);
  const last = ben.send('now');
  await last.settled;
  await until(() => texts().at(-1) === 'now', 'what is new is shown again');
});

test('pages that are requested together are loaded one after the other', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const room = await join(url, 'aya');
  const { timeline } = room;
  for (let each = 0; each < CHATS; each += 1) room.send(`${each}`);
  await until(
    () => timeline.chats.at(-1)?.state === undefined && timeline.chats.at(-1)?.message === `${CHATS - 1}`,
    'everything is delivered',
  );
  const { seq } = room.position;
  const asked = [timeline.around(CHATS / 2, 10), timeline.loadOlder(7), timeline.loadOlder(7), timeline.loadNewer(9)];
  expect((await Promise.all(asked)).map((loaded) => loaded.ok && loaded.added)).toEqual([10, 7, 7, 9]);
  expect(timeline.chats).toHaveLength(26);
  await timeline.around(seq);
  expect([timeline.chats.at(-1)?.seq, timeline.hasNewer]).toEqual([seq, false]);
});
