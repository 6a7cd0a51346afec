/** One who stops reading while more is said than any buffer takes for him, and then must hear all of it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from '../load/raw-client.ts';
import { OrderChecker } from './order-check.ts';

const CHATS = 1_500;
/** As long as a chat may be. */
const TEXT = 'x'.repeat(4_000);
/** Fewer than a server lets wait, in bytes, too. */
const AT_ONCE = 100;
const PATIENCE_MS = 60_000;

/** Rejects when he misses something, or hears it twice. */
export async function checkSlowReader(url: string): Promise<void> {
  const roomId = `flood-${randomUUID()}`;
  const chain = new OrderChecker();
  const speaker = await RawClient.connect(url);
  await speaker.ask('create:room', { roomId, username: 'speaker' });
  const listener = await RawClient.connect(url, {}, (frame) => chain.check(frame));
  await listener.ask('add:member', { roomId, username: 'listener' });
  const before = chain.entryCount;
  listener.stopReading();
  for (let said = 0; said < CHATS; said += AT_ONCE) {
    const chats = Array.from({ length: AT_ONCE }, () => speaker.ask('create:chat', { roomId, username: 'speaker', message: TEXT }));
    await Promise.all(chats);
  }
  listener.resumeReading();
  for (const giveUpAt = performance.now() + PATIENCE_MS; chain.entryCount < before + CHATS && performance.now() < giveUpAt; )
    await sleep(20);
  await speaker.ask('delete:room', { roomId, username: 'speaker' });
  speaker.close();
  listener.close();
  const [fault] = chain.errors;
  if (fault !== undefined) throw new Error(`Of a slow reader: ${fault}`);
  if (chain.entryCount < before + CHATS) throw new Error(`A slow reader heard ${chain.entryCount - before} of ${CHATS} chats.`);
}
