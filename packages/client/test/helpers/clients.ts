import { type Client, type ClientOptions, connect, type JoinOptions, type Room } from '@engawa/client';
import { onTestFinished, vi } from 'vitest';
import type { ClientStorage } from '#storage.js';
import type { Hall } from './hall.ts';
import { ROOM } from './log.ts';

/** Time passes only when a test says so. */
export function ownTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

export const pass = (milliseconds = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);

export function newClient(hall: Hall, options: ClientOptions = {}): Client {
  const client = connect('http://hall', { link: hall.link, ...options });
  // Its storage may be waiting for a time that passes no more.
  onTestFinished(() => void client.close());
  return client;
}

/** A room that is live, with all that it told. */
export async function joined(client: Client, options: Partial<JoinOptions> = {}): Promise<{ room: Room; told: Told }> {
  const joining = client.join(ROOM, { username: 'aya', ...options }).then((room) => ({ room, told: hearing(room) }));
  await pass();
  return joining;
}

interface Told {
  seqs: number[];
  states: string[];
  resets: string[];
}

function hearing(room: Room): Told {
  const told: Told = { seqs: [], states: [], resets: [] };
  room.on('entry', ({ seq }) => told.seqs.push(seq));
  room.on('state', (state) => told.states.push(state));
  room.on('reset', ({ reason }) => told.resets.push(reason));
  return told;
}

export const messages = (room: Room): (string | null)[] => room.timeline.chats.map(({ message }) => message);

/** What waits to be sent, as it is in a storage. */
export const unsent = ({ kept }: { kept: Record<string, string> }): string[] =>
  Object.entries(kept).flatMap(([key, value]) => (/:unsent:.*:./.test(key) ? [value] : []));

/** A storage in memory, which can only read and write; `kept` is what is in it. */
export function memory(kept: Record<string, string> = {}): ClientStorage & { kept: Record<string, string> } {
  return {
    kept,
    getItem: (key) => kept[key] ?? null,
    setItem: (key, value) => {
      kept[key] = value;
    },
    removeItem: (key) => {
      delete kept[key];
    },
  };
}

/** The same, which lists its keys as `localStorage` does. */
export const listedMemory = (kept: Record<string, string> = {}): ReturnType<typeof memory> => ({
  ...memory(kept),
  get length() {
    return Object.keys(kept).length;
  },
  key: (index) => Object.keys(kept)[index] ?? null,
});

/** A storage that takes so many milliseconds to read and to write: what is written is there only then. */
export function slowed(storage: ClientStorage, { read, write }: { read: number; write: number }): ClientStorage {
  const after = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  return {
    getItem: (key) => after(read).then(() => storage.getItem(key)),
    setItem: (key, value) => after(write).then(() => storage.setItem(key, value)),
    removeItem: (key) => after(write).then(() => storage.removeItem(key)),
  };
}
