/** A room whose quota is used up, and what goes on there. */
import type { Socket } from 'socket.io-client';
import { expect } from 'vitest';
import { ask, connect, done } from './server.ts';

export const KB = 1024;
export const ROOM = { roomId: 'veranda' };
export const AYA = { ...ROOM, username: 'aya' };
export const BEN = { ...ROOM, username: 'ben' };
export const exceeded = (message: RegExp) => ({
  code: 'quota_exceeded',
  retryable: false,
  message: expect.stringMatching(message) as string,
});

/** Says so much again and again, until it is refused; answers the refusal and how often it was kept. */
export async function sayUntilRefused(socket: Socket, username: string, bytes: number) {
  for (let kept = 0; kept < 10_000; kept += 1) {
    const answer = await ask(socket, 'create:chat', { ...ROOM, username, message: '部'.repeat(bytes / 3) });
    if (!answer.ok) return { error: answer.error, kept };
  }
  throw new Error('It was never refused.');
}

/** Reading, hearing and coming back, which no quota ends. */
export async function goesOnReading(url: string, session: string, username: string): Promise<void> {
  const back = await connect(url, { auth: { session } });
  const { chats, epoch } = await done(back, 'list:chats', { ...ROOM, limit: 1 }).catch(() => ({ chats: [], epoch: '' }));
  const resumed = await done(back, 'resume:rooms', { rooms: [{ ...ROOM, username, epoch, seq: 0 }] });
  expect(resumed.rooms[0]?.outcome).toMatch(/caught_up|more|reset/);
  expect((await done(back, 'list:chats', { ...ROOM, limit: 2 })).chats.length).toBeGreaterThanOrEqual(chats.length);
  expect((await done(back, 'list:rooms', {})).rooms.map(({ roomId }) => roomId)).toContain(ROOM.roomId);
  back.disconnect();
}
