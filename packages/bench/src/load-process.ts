/** The process that makes the load: connections on one side, orders from the bench on the other. Ends with its parent. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { ChatLoad, Joined, LoadAnswer, LoadFigures, Order } from './load-generator.ts';
import { RawClient } from './raw-client.ts';
import { percentile } from './statistics.ts';

/** Connections that are made, or join, at the same time. */
const AT_ONCE = 50;

interface Speaker {
  client: RawClient;
  roomId: string;
  username: string;
}

const speakers: Speaker[] = [];

async function join({ url, connections, rooms, members }: Joined): Promise<void> {
  const first = speakers.length;
  const sessions = Array.from({ length: rooms }, () => randomBytes(24).toString('base64url'));
  const numbers = Array.from({ length: connections }, (_, number) => number);
  const joining = await inBatches(numbers, async (number) => {
    const room = number % rooms;
    const client = await RawClient.connect(url, members === 'all' ? undefined : sessions[room]);
    return { client, roomId: `room-${first + room}`, username: `member-${members === 'all' ? number : room}` };
  });
  speakers.push(...joining);
  await inBatches(joining.slice(0, rooms), ({ client, roomId, username }) => client.ask('create:room', { roomId, username }));
  if (members === 'one a room') return;
  await inBatches(joining.slice(rooms), ({ client, roomId, username }) => client.ask('add:member', { roomId, username }));
}

async function inBatches<Item, Result>(items: Item[], each: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(each))));
  return results;
}

/** Every speaker has one chat waiting for its acknowledgement at any time. */
async function chat({ seconds, textBytes }: ChatLoad): Promise<LoadFigures> {
  const message = 'x'.repeat(textBytes);
  const latencies: number[] = [];
  const heardBefore = heardByAll();
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const end = start + seconds * 1000;

  async function speak({ client, roomId, username }: Speaker): Promise<void> {
    for (let sent = start; sent < end; ) {
      sent = performance.now();
      await client.ask('create:chat', { roomId, username, message, clientId: randomUUID() });
      latencies.push(performance.now() - sent);
    }
  }

  await Promise.all(speakers.map(speak));
  const elapsed = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    seconds: elapsed,
    acknowledged: latencies.length,
    delivered: heardByAll() - heardBefore,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    loadCpu: (user + system) / 1e6 / elapsed,
  };
}

const heardByAll = (): number => speakers.reduce((sum, { client }) => sum + client.heard, 0);

async function follow(order: Order): Promise<LoadAnswer> {
  try {
    return { figures: order.do === 'chat' ? await chat(order) : await join(order).then(() => undefined) };
  } catch (error) {
    return { failed: (error as Error).message };
  }
}

process.on('message', (order: Order) => void follow(order).then((answer) => process.send?.(answer)));
process.on('disconnect', () => process.exit());
