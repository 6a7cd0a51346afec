/** The number of packets in one poll response. */

import { openRawPolling } from '@engawa/testkit/actors/raw-clients';
import { requestOk } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { MAX_POLL_PACKETS } from '#socketio/poll-response-limit.js';
import { ROOM, startWithBystanders } from './helpers/bystanders.ts';

const SEPARATOR = '\x1e';
const CHATS = 40;

const PYTHON = ['Python/3.11 aiohttp/3.8.4', 'python-requests/2.28.1'];
const CHROMIUM = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36';

test.each([
  ...[...PYTHON, 'okhttp/3.12.12', ''].map((userAgent) => ({ userAgent, most: MAX_POLL_PACKETS })),
  ...[CHROMIUM, 'node-XMLHttpRequest', 'node', 'Deno/2.1.4', 'Bun/1.1.38'].map((userAgent) => ({ userAgent, most: Infinity })),
])('queued packets for $userAgent, which polls, arrive in order, with $most packets at most in one answer', async ({ userAgent, most }) => {
  const { url, aya, expectUnharmed } = await startWithBystanders({ rateLimits: 'off' });
  const headers = { 'user-agent': userAgent };
  const client = await openRawPolling(url, { polls: false, headers });
  const poll = async (): Promise<string[]> => (await (await fetch(client.address, { headers })).text()).split(SEPARATOR);
  await client.send('40');
  await poll();
  await client.send(`42["add:member",{"roomId":"${ROOM}","username":"cleo"}]`);
  expect((await poll()).join()).toContain('add:member:success');

  for (let each = 0; each < CHATS; each += 1)
    await requestOk(aya, 'create:chat', { roomId: ROOM, username: 'aya', message: `chat ${each}` });
  const answers: string[][] = [];
  while (
    !answers
      .flat()
      .join()
      .includes(`chat ${CHATS - 1}`)
  )
    answers.push(await poll());

  const longest = Math.max(...answers.map((packets) => packets.length));
  if (most === Infinity) expect(longest).toBeGreaterThan(2 * MAX_POLL_PACKETS);
  else expect(longest).toBe(most);
  const chats = answers.flat().flatMap((packet) => /"message":"(chat \d+)"/.exec(packet)?.[1] ?? []);
  expect(chats).toEqual(Array.from({ length: CHATS }, (_, each) => `chat ${each}`));
  await expectUnharmed();
});
