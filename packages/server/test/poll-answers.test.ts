/** How many packets a client that polls is given at once. */
import { expect, test } from 'vitest';
import { MAX_POLL_PACKETS } from '#transport/poll-answers.js';
import { ROOM, startScene } from './helpers/neighbours.ts';
import { rawPolling } from './helpers/raw.ts';
import { done } from './helpers/server.ts';

const SEPARATOR = '\x1e';
const CHATS = 40;

test('what waits for a client that polls comes in order, with sixteen packets at most in one answer', async () => {
  const { url, aya, unharmed } = await startScene({ limits: 'off' });
  const client = await rawPolling(url, { reads: false });
  const poll = async (): Promise<string[]> => (await (await fetch(client.address)).text()).split(SEPARATOR);
  await client.send('40');
  await poll();
  await client.send(`42["add:member",{"roomId":"${ROOM}","username":"cleo"}]`);
  expect((await poll()).join()).toContain('add:member:success');

  for (let each = 0; each < CHATS; each += 1) await done(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: `chat ${each}` });
  const answers: string[][] = [];
  while (
    !answers
      .flat()
      .join()
      .includes(`chat ${CHATS - 1}`)
  )
    answers.push(await poll());

  expect(Math.max(...answers.map((packets) => packets.length))).toBe(MAX_POLL_PACKETS);
  const chats = answers.flat().flatMap((packet) => /"message":"(chat \d+)"/.exec(packet)?.[1] ?? []);
  expect(chats).toEqual(Array.from({ length: CHATS }, (_, each) => `chat ${each}`));
  await unharmed();
});
