/** The process of those who speak and listen, all with one clock. Ends with its parent. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { handleCommands } from '../processes/worker-rpc.ts';
import { percentile } from '../report/statistics.ts';
import type { BroadcastCommand, Client, Clients, DeliveryFigures, LoadPhase } from './broadcast-load.ts';
import { inBatches } from './in-batches.ts';
import { RawClient } from './raw-client.ts';

const TEXT_BYTES = 200;
/** What is not heard by then is not waited for. */
const PATIENCE_MS = 10_000;
/** Stands before the time in a chat. */
const MARK = '"message":"';

interface Speaker {
  client: RawClient;
  roomId: string;
  username: string;
}

interface Gathered {
  speakers: Speaker[];
  listenersOf: Map<string, number>;
}

const companies = new Map<string, Gathered>();
let latencies: number[] = [];

async function gather(name: string, { speakers, listeners }: Clients): Promise<void> {
  const gathered: Gathered = { speakers: [], listenersOf: new Map() };
  const created = new Set<string>();
  for (const { url, roomId } of speakers) {
    const [client, username] = [await RawClient.connect(url), `speaker-${gathered.speakers.length}`];
    await client.ask(created.has(roomId) ? 'add:member' : 'create:room', { roomId, username });
    created.add(roomId);
    gathered.speakers.push({ client, roomId, username });
  }
  await inBatches([...listeners.entries()], async ([number, { url, roomId }]: [number, Client]) => {
    const client = await RawClient.connect(url, {}, hear);
    await client.ask('add:member', { roomId, username: `listener-${number}` });
    gathered.listenersOf.set(roomId, (gathered.listenersOf.get(roomId) ?? 0) + 1);
  });
  companies.set(name, gathered);
}

function hear(frame: Buffer): void {
  const at = frame.indexOf(MARK);
  if (at < 0) return;
  const due = Number.parseFloat(frame.toString('latin1', at + MARK.length, at + MARK.length + 20));
  if (!Number.isNaN(due)) latencies.push(performance.now() - due);
}

async function talk(company: string, { perSecond, milliseconds }: LoadPhase): Promise<DeliveryFigures> {
  const { speakers, listenersOf } = companies.get(company) as Gathered;
  latencies = [];
  const begun = performance.now();
  const answers: Promise<unknown>[] = [];
  let expected = 0;

  for (const total = (perSecond * milliseconds) / 1000; answers.length < total; await sleep(1)) {
    for (let due = dueOf(answers.length); due <= performance.now() && answers.length < total; due = dueOf(answers.length)) {
      const { client, roomId, username } = speakers[answers.length % speakers.length] as Speaker;
      const message = `${due.toFixed(3)} `.padEnd(TEXT_BYTES, 'x');
      // Who is refused is not heard, and counted as that.
      answers.push(client.ask('create:chat', { roomId, username, message, clientId: randomUUID() }).catch(() => undefined));
      expected += listenersOf.get(roomId) ?? 0;
    }
  }
  function dueOf(number: number): number {
    return begun + (number / perSecond) * 1000;
  }

  const patience = performance.now() + PATIENCE_MS;
  await Promise.race([Promise.all(answers), sleep(PATIENCE_MS)]);
  while (latencies.length < expected && performance.now() < patience) await sleep(5);
  return { said: answers.length, heard: latencies.length, p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
}

handleCommands<BroadcastCommand>((order) => (order.do === 'gather' ? gather(order.company, order) : talk(order.company, order)));
