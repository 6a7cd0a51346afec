import { randomUUID } from 'node:crypto';
import type { Draft, Store } from '@engawa/server';
import type { BenchContext } from '../scenario.ts';

const ENTRIES_AN_APPEND = 1_000;
const PROGRESS_EVERY = 250_000;
const AUTHOR = { by: 'aya', author: 'author-of-all' };

interface Building {
  store: Store;
  room: string;
  chats: number;
  /** Entries after the chats that no page shows. */
  others: number;
  textBytes: number;
  progress: BenchContext['progress'];
}

/** A room as the server would have it after all that, but written many entries at a time. */
export async function seedRoom({ store, room, chats, others, textBytes, progress }: Building): Promise<void> {
  const epoch = await createRoom(store, room);
  const total = chats + others;
  for (let written = 0; written < total; written += ENTRIES_AN_APPEND) {
    const numbers = Array.from({ length: Math.min(ENTRIES_AN_APPEND, total - written) }, (_, index) => written + index + 1);
    const drafts = numbers.map((number) => (number <= chats ? chatDraft(number, textBytes) : joinDraft(number)));
    await mustAppend(store, room, { drafts, epoch });
    if ((written + numbers.length) % PROGRESS_EVERY === 0) progress(`${room} room: ${written + numbers.length} entries written`);
  }
}

function createRoom(store: Store, room: string): Promise<string> {
  const draft: Draft = {
    ...AUTHOR,
    id: randomUUID(),
    kind: 'create:room',
    body: {},
    keyUpdates: [['settings', { owner: AUTHOR.author, topic: '' }]],
  };
  return mustAppend(store, room, { drafts: [draft], epoch: null });
}

function chatDraft(number: number, textBytes: number): Draft {
  return { ...AUTHOR, id: randomUUID(), kind: 'create:chat', body: { message: `${number} `.padEnd(textBytes, 'x') }, listed: true };
}

const joinDraft = (number: number): Draft => ({
  ...AUTHOR,
  id: randomUUID(),
  kind: 'add:member',
  body: {},
  keyUpdates: [[`member/${number}`, { username: String(number), author: AUTHOR.author }]],
});

async function mustAppend(store: Store, room: string, append: { drafts: Draft[]; epoch: string | null }): Promise<string> {
  const appended = await store.append(room, { ...append, expectedVersions: [] });
  if (appended.outcome === 'stale') throw new Error(`Somebody else writes to ${room}.`);
  return appended.epoch;
}
