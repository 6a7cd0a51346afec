// A reader that stops reading while more is sent than any buffer has room for, and then must receive all of it.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo } from '../generator/socketio-client.ts';
import { OrderChecker } from './order-check.ts';

const CHATS = 1_500;
/** The maximum length of a chat. */
const TEXT = 'x'.repeat(4_000);
/** Below the limits of pending requests. */
const CONCURRENCY = 100;
const DEADLINE_MS = 60_000;

/** Rejects if the reader misses something, or receives it twice. */
export async function checkSlowReader(url: string): Promise<void> {
  const roomId = `flood-${randomUUID()}`;
  const check = new OrderChecker();
  const sender = await connectTo(url);
  await sender.request('create:room', { roomId, username: 'sender' });
  const reader = await connectTo(url, { onEvent: (packet) => check.check(packet) });
  await reader.request('add:member', { roomId, username: 'reader' });
  const before = check.entryCount;
  reader.stopReading();
  for (let sent = 0; sent < CHATS; sent += CONCURRENCY) {
    const chats = Array.from({ length: CONCURRENCY }, () => sender.request('create:chat', { roomId, username: 'sender', message: TEXT }));
    await Promise.all(chats);
  }
  reader.resumeReading();
  for (const deadline = performance.now() + DEADLINE_MS; check.entryCount < before + CHATS && performance.now() < deadline; )
    await sleep(20);
  await sender.request('delete:room', { roomId, username: 'sender' });
  sender.end();
  reader.end();
  const [fault] = check.errors;
  if (fault !== undefined) throw new Error(`A slow reader: ${fault}`);
  if (check.entryCount < before + CHATS) throw new Error(`A slow reader received ${check.entryCount - before} of ${CHATS} chats.`);
}
