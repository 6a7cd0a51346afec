// Tests of `engawa trim` as a process on the folder of a stopped server.
import { randomUUID } from 'node:crypto';
import { type Draft, openEmbedded } from '@engawa/server';
import { runEngawa } from '@engawa/testkit/processes/engawa-command';
import { createTempFolder } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';

const START = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;
const BODY = { message: '部屋' };
const BYTES = Buffer.byteLength(JSON.stringify(BODY));

async function trim(...args: string[]): Promise<{ code: number | null; said: string }> {
  const { exit, screen } = runEngawa('trim', ...args);
  return { code: await exit(), said: screen() };
}

/** Three rooms with a chat each day; one owner has set a short retention. */
async function folderOfRooms(): Promise<string> {
  const folder = createTempFolder();
  let now = START;
  const store = await openEmbedded({ folder, clock: () => now });
  const draft = (more: Partial<Draft> = {}): Draft => ({
    id: randomUUID(),
    by: 'aya',
    author: 'a',
    kind: 'create:chat',
    body: BODY,
    ...more,
  });
  const settings = { owner: 'a', topic: '', retention: { maxCount: 4 } };
  const rooms = { den: draft(), attic: draft(), veranda: draft({ keyUpdates: [['settings', settings]] }) };
  const epochs = new Map<string, string>();
  for (const [room, first] of Object.entries(rooms)) {
    const opened = await store.append(room, { epoch: null, expectedVersions: [], drafts: [first] });
    if (opened.outcome === 'appended') epochs.set(room, opened.epoch);
  }
  for (let day = 1; day < 10; day += 1) {
    now += DAY;
    for (const room of ['den', 'veranda'])
      await store.append(room, { epoch: epochs.get(room) ?? '', expectedVersions: [], drafts: [draft()] });
  }
  await store.close();
  return folder;
}

async function sizesOf(folder: string): Promise<Record<string, number>> {
  const store = await openEmbedded({ folder });
  const { rooms } = await store.listRooms({ limit: 10 });
  const sizes = await Promise.all(
    rooms.map(async ({ room, head }) => [room, head + 1 - (await store.readPage(room, { limit: 1 })).oldest] as const),
  );
  await store.close();
  return Object.fromEntries(sizes);
}

const ALL = { attic: 1, den: 10, veranda: 10 };

test('a dry run prints what would be removed for each room, and a real run removes exactly that', async () => {
  const folder = await folderOfRooms();
  const lines = `"den": 5 entries of 10, ${5 * BYTES} bytes of ${10 * BYTES}; the oldest remaining entry is 6, of 2026-01-06T00:00:00.000Z
"veranda": 6 entries of 10, ${6 * BYTES} bytes of ${10 * BYTES}; the oldest remaining entry is 7, of 2026-01-07T00:00:00.000Z
`;
  const args = ['--data-dir', folder, '--retention-max-bytes', String(5 * BYTES)];
  const all = `11 entries with ${11 * BYTES} bytes, from 2 of 3 rooms.\n`;
  expect(await trim('--dry-run', ...args)).toEqual({ code: 0, said: `${lines}Would be trimmed in total: ${all}` });
  expect(await sizesOf(folder)).toEqual(ALL);
  expect(await trim(...args)).toEqual({ code: 0, said: `${lines}Trimmed in total: ${all}` });
  expect(await sizesOf(folder)).toEqual({ attic: 1, den: 5, veranda: 4 });
  expect(await trim(...args)).toEqual({ code: 0, said: 'Trimmed in total: 0 entries with 0 bytes, from 0 of 3 rooms.\n' });
});

test('trim takes a single room, and may remove all entries of it by age', async () => {
  const folder = await folderOfRooms();
  expect(await trim('--data-dir', folder, '--retention-max-age', '1d', '--room', 'den')).toEqual({
    code: 0,
    said: `"den": 10 entries of 10, ${10 * BYTES} bytes of ${10 * BYTES}; no entry remains
Trimmed in total: 10 entries with ${10 * BYTES} bytes, from 1 of 1 room.
`,
  });
  expect(await sizesOf(folder)).toEqual({ ...ALL, den: 0 });
});

test('failures are reported in one line', async () => {
  const folder = await folderOfRooms();
  const refusals: [args: string[], said: RegExp][] = [
    [['--data-dir', folder, '--room', 'nowhere'], /^engawa: There is no room "nowhere"\.\n$/],
    [['--data-dir', `${folder}/nothing`], /^engawa: There is no store in .*nothing\.\n$/],
    [['--data-dir', folder, '--retention-max-age', 'long'], /^engawa: --retention-max-age must be a time .*\n$/],
    [['--data-dir', folder, '--wet-run'], /^engawa: .*--wet-run.*\n$/],
  ];
  for (const [args, said] of refusals) expect(await trim(...args)).toEqual({ code: 1, said: expect.stringMatching(said) as string });
  const server = await openEmbedded({ folder });
  const inUse = /^engawa: .* is in use by another server; stop it first.*\n$/;
  expect(await trim('--data-dir', folder, '--dry-run')).toEqual({ code: 1, said: expect.stringMatching(inUse) as string });
  await server.close();
  expect(await sizesOf(folder)).toEqual(ALL);
});
