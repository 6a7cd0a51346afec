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

/** A storage in memory; `kept` is what is in it. */
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
