/** `engawa chat` as a person has it before him, and those he talks with. */
import { fileURLToPath } from 'node:url';
import { type Client, connect, type Room } from '@engawa/client';
import { onTestFinished } from 'vitest';
import { createTempFolder } from '../../../server/test/helpers/server.ts';
import { openPty, type Pty, type PtyOptions } from './pty.ts';

export const ENGAWA: string = fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url));

/** aya in the veranda, unless it is said otherwise, with a home of her own. */
export function openChat(url: string, { room = 'veranda', as = 'aya', args = [], env, ...options }: ChatOptions = {}): Pty {
  const words = [ENGAWA, 'chat', ...(room === '' ? [] : [room]), '--as', as, '--server', url, ...args];
  return openPty(process.execPath, words, { columns: 100, rows: 28, ...options, env: { HOME: createTempFolder(), ...env } });
}

export interface ChatOptions extends PtyOptions {
  /** None when empty. */
  room?: string;
  as?: string;
  args?: string[];
}

/** Somebody in these rooms, which he opens where they are not there. */
export async function joinRooms(url: string, username: string, ...roomIds: string[]): Promise<Room[]> {
  const client: Client = connect(url);
  onTestFinished(() => void client.close());
  return Promise.all(roomIds.map((roomId) => client.join(roomId, { username, create: true })));
}

/** In the veranda. */
export async function joinVeranda(url: string, username = 'ben'): Promise<Room> {
  const [room] = await joinRooms(url, username, 'veranda');
  return room as Room;
}

/** Resolves with its seq when it is kept. */
export async function sendChat(room: Room, message: string, replyTo?: number): Promise<number> {
  const result = await room.send(message, replyTo === undefined ? {} : { replyTo }).settled;
  if (!result.ok) throw new Error(`not sent: ${result.error.message}`);
  return result.seq;
}

/** A line of text and Enter. */
export function typeLine(pty: Pty, text: string): void {
  pty.type(text);
  pty.press('enter');
}
