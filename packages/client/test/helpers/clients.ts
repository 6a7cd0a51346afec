/** SDK clients, storages and fake time for unit tests against the scripted server. */
import { type Client, type ClientOptions, connect, type JoinOptions, type Room } from '@engawa/client';
import { onTestFinished, vi } from 'vitest';
import type { ClientStorage } from '#storage/storage.js';
import { ROOM } from './log.ts';
import type { ScriptedServer } from './scripted-server.ts';

/** Time passes only when a test advances it. */
export function useFakeTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

export const advanceTime = (milliseconds = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);

export function newClient(server: ScriptedServer, options: ClientOptions = {}): Client {
  const client = connect('http://hall', { createTransport: server.createTransport, ...options });
  // Not awaited: its storage may wait for a timer that no longer runs.
  onTestFinished(() => void client.close());
  return client;
}

/** A live room, with all of its events. */
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

/** The texts of the pending chats in a storage. */
export const unsentIn = ({ items }: { items: Record<string, string> }): string[] =>
  Object.entries(items).flatMap(([key, value]) => (/:unsent:.*:./.test(key) ? [value] : []));

/** A storage in memory that can only read and write; `items` is its content. */
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

/** The same, which also lists its keys as `localStorage` does. */
export const listableMemoryStorage = (items: Record<string, string> = {}): ReturnType<typeof memoryStorage> => ({
  ...memoryStorage(items),
  get length() {
    return Object.keys(items).length;
  },
  key: (index) => Object.keys(items)[index] ?? null,
});

/** A storage whose reads and writes take these milliseconds; a value can be read only after its write has ended. */
export function slowStorage(storage: ClientStorage, { read, write }: { read: number; write: number }): ClientStorage {
  const delay = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  return {
    getItem: (key) => delay(read).then(() => storage.getItem(key)),
    setItem: (key, value) => delay(write).then(() => storage.setItem(key, value)),
    removeItem: (key) => delay(write).then(() => storage.removeItem(key)),
  };
}
