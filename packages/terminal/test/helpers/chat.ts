// Runs `engawa chat` on a pseudo-terminal, and other members beside it.
import { fileURLToPath } from 'node:url';
import { type Client, connect, type Room } from '@engawa/client';
import { createTempFolder } from '@engawa/testkit/processes/server';
import { onTestFinished } from 'vitest';
import { openPty, type Pty, type PtyOptions } from './pty.ts';

export const ENGAWA: string = fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url));

/** By default aya in the room veranda, with a new home. */
export function openChat(url: string, { room = 'veranda', as = 'aya', args = [], env, ...options }: ChatOptions = {}): Pty {
  const words = [ENGAWA, 'chat', ...(room === '' ? [] : [room]), '--as', as, '--server', url, ...args];
  return openPty(process.execPath, words, { columns: 100, rows: 28, ...options, env: { HOME: createTempFolder(), ...env } });
}

export interface ChatOptions extends PtyOptions {
  /** Empty for none. */
  room?: string;
  as?: string;
  args?: string[];
}

/** Joins a new client to these rooms and creates them if necessary. */
export async function joinRooms(url: string, username: string, ...roomIds: string[]): Promise<Room[]> {
  const client: Client = connect(url);
  onTestFinished(() => void client.close());
  return Promise.all(roomIds.map((roomId) => client.join(roomId, { username, create: true })));
}

/** Joins a new client to the room veranda. */
export async function joinVeranda(url: string, username = 'ben'): Promise<Room> {
  const [room] = await joinRooms(url, username, 'veranda');
  return room as Room;
}

/** Resolves with the seq of the chat when it is acknowledged. */
export async function sendChat(room: Room, message: string, replyTo?: number): Promise<number> {
  const result = await room.send(message, replyTo === undefined ? {} : { replyTo }).settled;
  if (!result.ok) throw new Error(`not sent: ${result.error.message}`);
  return result.seq;
}

/** Types a text and Enter. */
export function typeLine(pty: Pty, text: string): void {
  pty.type(text);
  pty.press('enter');
}
