import { type Client, type ClientOptions, connect, type JoinOptions, type Room } from '@engawa/client';
import { onTestFinished, vi } from 'vitest';
import type { ClientStorage } from '#storage/storage.js';
import { ROOM } from './log.ts';
import type { ScriptedServer } from './scripted-server.ts';

/** Time passes only when a test says so. */
export function useFakeTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

export const advanceTime = (milliseconds = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);

export function newClient(server: ScriptedServer, options: ClientOptions = {}): Client {
  const client = connect('http://hall', { createTransport: server.createTransport, ...options });
  // Its storage may be waiting for a time that passes no more.
  onTestFinished(() => void client.close());
  return client;
}

/** A room that is live, with all that it told. */
export async function joinRoom(client: Client, options: Partial<JoinOptions> = {}): Promise<{ room: Room; events: RecordedEvents }> {
  const joining = client.join(ROOM, { username: 'aya', ...options }).then((room) => ({ room, events: recordEvents(room) }));
  await advanceTime();
  return joining;
}

interface RecordedEvents {
  seqs: number[];
  states: string[];
  resets: string[];
}

function recordEvents(room: Room): RecordedEvents {
  const events: RecordedEvents = { seqs: [], states: [], resets: [] };
  room.on('entry', ({ seq }) => events.seqs.push(seq));
  room.on('state', (state) => events.states.push(state));
  room.on('reset', ({ reason }) => events.resets.push(reason));
  return events;
}

export const messages = (room: Room): (string | null)[] => room.timeline.chats.map(({ message }) => message);

/** What waits to be sent, as it is in a storage. */
export const unsentIn = ({ items }: { items: Record<string, string> }): string[] =>
  Object.entries(items).flatMap(([key, value]) => (/:unsent:.*:./.test(key) ? [value] : []));

/** A storage in memory, which can only read and write; `kept` is what is in it. */
export function memoryStorage(items: Record<string, string> = {}): ClientStorage & { items: Record<string, string> } {
  return {
    items,
    getItem: (key) => items[key] ?? null,
    setItem: (key, value) => {
      items[key] = value;
    },
    removeItem: (key) => {
      delete items[key];
    },
  };
}

/** The same, which lists its keys as `localStorage` does. */
export const listableMemoryStorage = (items: Record<string, string> = {}): ReturnType<typeof memoryStorage> => ({
  ...memoryStorage(items),
  get length() {
    return Object.keys(items).length;
  },
  key: (index) => Object.keys(items)[index] ?? null,
});

/** A storage that takes so many milliseconds to read and to write: what is written is there only then. */
export function slowStorage(storage: ClientStorage, { read, write }: { read: number; write: number }): ClientStorage {
  const delay = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  return {
    getItem: (key) => delay(read).then(() => storage.getItem(key)),
    setItem: (key, value) => delay(write).then(() => storage.setItem(key, value)),
    removeItem: (key) => delay(write).then(() => storage.removeItem(key)),
  };
}
