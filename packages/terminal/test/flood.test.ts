// Tests of a room with a thousand chats a second: typing works, and output and memory are bounded.
import { readFileSync } from 'node:fs';
import { startServer, until } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { joinVeranda, openChat } from './helpers/chat.ts';

const PER_SECOND = 1_000;
const SECONDS = 5;
const FRAME = '\u001b[?2026h';

const memoryOf = (pid: number): number => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

test('at 1,000 chats a second every key is echoed, frames stay below 30 a second plus keys, and memory is stable', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  // A client that retained a little for each chat would exhaust this heap.
  const aya = openChat(url, { env: { NODE_OPTIONS: '--max-old-space-size=32' } });
  await aya.waitForText('2 here');
  let said = 0;
  const talk = async (count: number, perSecond: number) => {
    const began = performance.now();
    for (const end = said + count; said < end; ) {
      const due = Math.min(end - said, Math.ceil(((performance.now() - began) / 1_000) * perSecond) - (count - (end - said)), 200);
      const sent = Array.from(
        { length: Math.max(0, due) },
        (_, each) => ben.send(`${said + each + 1} said, and some more words as people use them`).settled,
      );
      said += sent.length;
      await Promise.all(sent);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const [began, written, frames] = [performance.now(), aya.bytesWritten(), framesOf(aya.output())];
  const talking = talk(PER_SECOND * SECONDS, PER_SECOND);
  const over = { isOver: false };
  void talking.then(() => Object.assign(over, { isOver: true }));
  let typed = '';
  let keys = 0;
  while (!over.isOver) {
    for (const key of 'the 速い brown 🦊 ') {
      typed += key;
      keys += 1;
      aya.type(key);
      await aya.waitForText(`› ${typed}`.trimEnd());
    }
    if (typed.length > 60) {
      aya.press('ctrl+u');
      keys += 1;
      await aya.waitForText('› Say something');
      typed = '';
    }
  }
  await talking;
  const seconds = (performance.now() - began) / 1_000;
  // One more for each key.
  const most = Math.ceil(seconds * 30) + keys + 2;
  expect(framesOf(aya.output()) - frames).toBeLessThanOrEqual(most);
  expect(aya.bytesWritten() - written).toBeLessThan(most * 100 * 28 * 2);
  await aya.waitForText(`│ ${said} said`);
  const before = memoryOf(aya.pid);
  await talk(15_000, 10_000);
  await aya.waitForText(`│ ${said} said`, 30_000);
  expect(memoryOf(aya.pid) - before).toBeLessThan(96 * 1024 * 1024);
  await until(() => aya.screen().at(-1)?.includes('● connected') ?? false, 'it is still connected');
});

const framesOf = (output: string): number => output.split(FRAME).length - 1;
