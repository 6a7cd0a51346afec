/** The process that makes the load: connections on one side, orders from the bench on the other. Ends with its parent. */
import { randomBytes, randomUUID } from 'node:crypto';
import { handleCommands } from '../processes/worker-rpc.ts';
import { percentile } from '../report/statistics.ts';
import type { AckLoadCommand, ChatLoad, ConnectionSetup, LoadFigures } from './ack-load.ts';
import { inBatches } from './in-batches.ts';
import { RawClient } from './raw-client.ts';

interface Speaker {
  client: RawClient;
  roomId: string;
  username: string;
}

const speakers: Speaker[] = [];

async function join({ url, connections, rooms, members }: ConnectionSetup): Promise<void> {
  const first = speakers.length;
  const sessions = Array.from({ length: rooms }, () => randomBytes(24).toString('base64url'));
  const numbers = Array.from({ length: connections }, (_, number) => number);
  const joining = await inBatches(numbers, async (number) => {
    const room = number % rooms;
    const client = await RawClient.connect(url, members === 'all' ? {} : { session: sessions[room] });
    return { client, roomId: `room-${first + room}`, username: `member-${members === 'all' ? number : room}` };
  });
  speakers.push(...joining);
  await inBatches(joining.slice(0, rooms), ({ client, roomId, username }) => client.ask('create:room', { roomId, username }));
  if (members === 'one a room') return;
  await inBatches(joining.slice(rooms), ({ client, roomId, username }) => client.ask('add:member', { roomId, username }));
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

const heardByAll = (): number => speakers.reduce((sum, { client }) => sum + client.eventCount, 0);

handleCommands<AckLoadCommand>((order) => (order.do === 'chat' ? chat(order) : join(order)));
