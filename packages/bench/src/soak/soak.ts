import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from '../load/raw-client.ts';
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
  /** Of visits; after that it waits until all visitors are forgotten, and looks. */
  cycleMs: number;
  onSample: (sample: Sample, cycle: number) => void;
}

/** Those who always are there, hear everything, and talk while others come and go. */
const ROOMS = 5;
const RESIDENTS_PER_ROOM = 4;
const CHAT_EVERY_MS = 20;
/** At the same time. */
const VISITORS = 2 * CHURN_ACTIONS.length;
/** More than two graces: then nothing of a visit should be left. */
const FORGET_MS = 700;
const PATIENCE_MS = 20_000;

/** Visits by cycles to a server in a process of its own; a sample after each. Rejects when visitors are not forgotten, or somebody misses something. */
export const runSoak = (options: SoakOptions): Promise<Sample[]> =>
  withTempFolder(options.folder, (folder) =>
    withWorker<SoakCommand, Sample[]>(new URL('./soak-process.js', import.meta.url), async (give) => {
      const url = `http://127.0.0.1:${(await give({ do: 'start', folder })) as number}`;
      const residents = await settle(url);
      const samples = await repeat({ url, residents, give }, options);
      for (const { client } of residents) client.close();
      return samples;
    }),
  );

interface Resident {
  client: RawClient;
  chain: OrderChecker;
  roomId: string;
  username: string;
}

interface House {
  url: string;
  residents: Resident[];
  give: SendCommand<SoakCommand>;
}

async function repeat(house: House, { cycles, cycleMs, onSample }: SoakOptions): Promise<Sample[]> {
  const { url, residents, give } = house;
  const roomIds = [...new Set(residents.map(({ roomId }) => roomId))];
  const begun = performance.now();
  const samples: Sample[] = [];
  let visits = 0;
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const until = performance.now() + cycleMs;
    const visitors = Array.from({ length: VISITORS }, (_, first) => churnUntil(until, { url, roomIds, first }));
    const [, , ...made] = await Promise.all([talkUntil(until, residents), checkSlowReader(url), ...visitors]);
    visits += made.reduce((sum, number) => sum + number, 0);
    await untilForgotten(house);
    mustHaveHeardAll(residents);
    samples.push({ ...((await give({ do: 'sample' })) as Sample), at: performance.now() - begun, visits });
    onSample(samples.at(-1) as Sample, cycle);
  }
  return samples;
}

async function settle(url: string): Promise<Resident[]> {
  const residents: Resident[] = [];
  for (let number = 0; number < ROOMS * RESIDENTS_PER_ROOM; number += 1) {
    const place = { roomId: `room-${number % ROOMS}`, username: `resident-${number}` };
    const chain = new OrderChecker();
    const client = await RawClient.connect(url, {}, (frame) => chain.check(frame));
    await client.ask(number < ROOMS ? 'create:room' : 'add:member', place);
    residents.push({ client, chain, ...place });
  }
  return residents;
}

async function talkUntil(until: number, residents: Resident[]): Promise<void> {
  for (let number = 0; performance.now() < until; number += 1, await sleep(CHAT_EVERY_MS)) {
    const { client, roomId, username } = residents[number % residents.length] as Resident;
    await client.ask('create:chat', { roomId, username, message: `chat ${number}` });
  }
}

function mustHaveHeardAll(residents: Resident[]): void {
  const fault = residents.flatMap(({ chain, username }) => chain.errors.map((what) => `Of ${username}: ${what}`))[0];
  if (fault !== undefined) throw new Error(fault);
}

async function untilForgotten({ residents, give }: House): Promise<void> {
  await sleep(FORGET_MS);
  for (const giveUpAt = performance.now() + PATIENCE_MS; ; await sleep(100)) {
    const connected = (await give({ do: 'count' })) as number;
    if (connected <= residents.length) return;
    if (performance.now() > giveUpAt) throw new Error(`${connected} sockets are kept for ${residents.length} connections.`);
  }
}
