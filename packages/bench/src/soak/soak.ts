// The soak test: visitors connect and disconnect while residents chat, and the server must not grow.
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo, type SocketIoClient } from '../generator/socketio-client.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { type SendCommand, withWorker } from '../processes/worker-rpc.ts';
import { CHURN_ACTIONS, churnUntil } from './churn.ts';
import type { Sample } from './leak-check.ts';
import { OrderChecker } from './order-check.ts';
import { checkSlowReader } from './slow-reader.ts';

export type SoakCommand = { do: 'start'; folder: string } | { do: 'count' } | { do: 'sample' };

export interface SoakOptions {
  folder: string;
  cycles: number;
  /** Duration of visits. After it the server must have released all visitors, and is sampled. */
  cycleMs: number;
  onSample: (sample: Sample, cycle: number) => void;
}

/** Members that stay, and chat. */
const ROOMS = 5;
const RESIDENTS_PER_ROOM = 4;
const CHAT_EVERY_MS = 20;
/** Visitors at the same time. */
const VISITORS = 2 * CHURN_ACTIONS.length;
/** More than twice the grace: nothing of a visit should be left. */
const RELEASE_MS = 700;
const DEADLINE_MS = 20_000;

/** One sample after each cycle. Rejects if visitors are not released, or a resident misses an entry. */
export const runSoak = (options: SoakOptions): Promise<Sample[]> =>
  withTempFolder(options.folder, (folder) =>
    withWorker<SoakCommand, Sample[]>(new URL('./soak-process.js', import.meta.url), async (send) => {
      const url = `http://127.0.0.1:${(await send({ do: 'start', folder })) as number}`;
      const residents = await joinResidents(url);
      const samples = await repeat({ url, residents, send }, options);
      for (const { client } of residents) client.end();
      return samples;
    }),
  );

interface Resident {
  client: SocketIoClient;
  order: OrderChecker;
  roomId: string;
  username: string;
}

interface Trial {
  url: string;
  residents: Resident[];
  send: SendCommand<SoakCommand>;
}

async function repeat(trial: Trial, { cycles, cycleMs, onSample }: SoakOptions): Promise<Sample[]> {
  const { url, residents, send } = trial;
  const roomIds = [...new Set(residents.map(({ roomId }) => roomId))];
  const begun = performance.now();
  const samples: Sample[] = [];
  let visits = 0;
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const until = performance.now() + cycleMs;
    const visitors = Array.from({ length: VISITORS }, (_, first) => churnUntil(until, { url, roomIds, first }));
    const [, , ...made] = await Promise.all([chatUntil(until, residents), checkSlowReader(url), ...visitors]);
    visits += made.reduce((sum, number) => sum + number, 0);
    await untilReleased(trial);
    requireAllReceived(residents);
    samples.push({ ...((await send({ do: 'sample' })) as Sample), at: performance.now() - begun, visits });
    onSample(samples.at(-1) as Sample, cycle);
  }
  return samples;
}

async function joinResidents(url: string): Promise<Resident[]> {
  const residents: Resident[] = [];
  for (let number = 0; number < ROOMS * RESIDENTS_PER_ROOM; number += 1) {
    const place = { roomId: `room-${number % ROOMS}`, username: `resident-${number}` };
    const order = new OrderChecker();
    const client = await connectTo(url, { onEvent: (packet) => order.check(packet) });
    await client.request(number < ROOMS ? 'create:room' : 'add:member', place);
    residents.push({ client, order, ...place });
  }
  return residents;
}

async function chatUntil(until: number, residents: Resident[]): Promise<void> {
  for (let number = 0; performance.now() < until; number += 1, await sleep(CHAT_EVERY_MS)) {
    const { client, roomId, username } = residents[number % residents.length] as Resident;
    await client.request('create:chat', { roomId, username, message: `chat ${number}` });
  }
}

function requireAllReceived(residents: Resident[]): void {
  const fault = residents.flatMap(({ order, username }) => order.errors.map((what) => `${username}: ${what}`))[0];
  if (fault !== undefined) throw new Error(fault);
}

async function untilReleased({ residents, send }: Trial): Promise<void> {
  await sleep(RELEASE_MS);
  for (const deadline = performance.now() + DEADLINE_MS; ; await sleep(100)) {
    const connected = (await send({ do: 'count' })) as number;
    if (connected <= residents.length) return;
    if (performance.now() > deadline) throw new Error(`${connected} sockets remain for ${residents.length} connections.`);
  }
}
