// Writes a room with many chats into a store, as the server would, but many entries at a time.
import { randomUUID } from 'node:crypto';
import type { Draft, Store } from '@engawa/server';
import type { BenchContext } from '../scenario.ts';

const ENTRIES_PER_APPEND = 1_000;
const PROGRESS_EVERY = 250_000;
const AUTHOR = { by: 'aya', author: 'author-of-all' };

interface SeedOptions {
  store: Store;
  room: string;
  chats: number;
  textBytes: number;
  progress: BenchContext['progress'];
}

export async function seedRoom({ store, room, chats, textBytes, progress }: SeedOptions): Promise<void> {
  const epoch = await append(store, room, { drafts: [roomDraft()], epoch: null });
  for (let written = 0; written < chats; written += ENTRIES_PER_APPEND) {
    const count = Math.min(ENTRIES_PER_APPEND, chats - written);
    await append(store, room, { drafts: Array.from({ length: count }, (_, index) => chatDraft(written + index + 1, textBytes)), epoch });
    if ((written + count) % PROGRESS_EVERY === 0) progress(`${room}: ${written + count} chats written`);
  }
}

const roomDraft = (): Draft => ({
  ...AUTHOR,
  id: randomUUID(),
  kind: 'create:room',
  body: {},
  keyUpdates: [['settings', { owner: AUTHOR.author, topic: '' }]],
});

const chatDraft = (number: number, textBytes: number): Draft => ({
  ...AUTHOR,
  id: randomUUID(),
  kind: 'create:chat',
  body: { message: `${number} `.padEnd(textBytes, 'x') },
  listed: true,
});

async function append(store: Store, room: string, { drafts, epoch }: { drafts: Draft[]; epoch: string | null }): Promise<string> {
  const result = await store.append(room, { drafts, epoch, expectedVersions: [] });
  if (result.outcome === 'stale') throw new Error(`${room} exists already.`);
  return result.epoch;
}
