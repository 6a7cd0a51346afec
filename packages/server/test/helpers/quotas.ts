/** A room whose quota is used up, and the requests that still succeed there. */

import { connect, requestOk, sendRequest } from '@engawa/testkit/processes/server';
import type { Socket } from 'socket.io-client';
import { expect } from 'vitest';

export const KB = 1024;
export const ROOM = { roomId: 'veranda' };
export const AYA = { ...ROOM, username: 'aya' };
export const BEN = { ...ROOM, username: 'ben' };
export const exceeded = (message: RegExp) => ({
  code: 'quota_exceeded',
  retryable: false,
  message: expect.stringMatching(message) as string,
});

/** Sends chats of this size until one is refused; returns the refusal and the number of stored chats. */
export async function sendUntilRefused(socket: Socket, username: string, bytes: number) {
  for (let accepted = 0; accepted < 10_000; accepted += 1) {
    const answer = await sendRequest(socket, 'create:chat', { ...ROOM, username, message: '部'.repeat(bytes / 3) });
    if (!answer.ok) return { error: answer.error, stored: accepted };
  }
  throw new Error('It was never refused.');
}

/** Reading, receiving and resuming, which no quota stops. */
export async function expectReadable(url: string, session: string, username: string): Promise<void> {
  const back = await connect(url, { auth: { session } });
  const { chats, epoch } = await requestOk(back, 'list:chats', { ...ROOM, limit: 1 }).catch(() => ({ chats: [], epoch: '' }));
  const resumed = await requestOk(back, 'resume:rooms', { rooms: [{ ...ROOM, username, epoch, seq: 0 }] });
  expect(resumed.rooms[0]?.outcome).toMatch(/caught_up|more|reset/);
  expect((await requestOk(back, 'list:chats', { ...ROOM, limit: 2 })).chats.length).toBeGreaterThanOrEqual(chats.length);
  expect((await requestOk(back, 'list:rooms', {})).rooms.map(({ roomId }) => roomId)).toContain(ROOM.roomId);
  back.disconnect();
}
