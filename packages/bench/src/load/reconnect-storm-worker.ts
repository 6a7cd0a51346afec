/** The process of a crowd: its members on one side, orders from the bench on the other. Ends with its parent. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { handleCommands } from '../processes/worker-rpc.ts';
import { inBatches } from './in-batches.ts';
import { RawClient } from './raw-client.ts';
import type { ReconnectMethod, StormCommand, StormResult, StormSetup } from './reconnect-storm.ts';
import { type Position, ReconnectingClient } from './reconnecting-client.ts';

const TEXT = 'x'.repeat(100);
/** Whose connection fails tries again after so long, and by chance up to twice that. */
const RETRY_MS = 250;
/** Who has not caught up by then is lost. */
const PATIENCE_MS = 60_000;

const author = { username: 'author', session: randomBytes(24).toString('base64url') };
const positions = new Map<string, Position>();
let members: ReconnectingClient[] = [];

/** Every member has heard one chat, the newest entry of his room. */
async function gather({ url, name, rooms, membersPerRoom }: StormSetup): Promise<void> {
  const roomIds = Array.from({ length: rooms }, (_, room) => `${name}-${room}`);
  const client = await RawClient.connect(url, { session: author.session });
  await inBatches(roomIds, (roomId) => client.ask('create:room', { roomId, username: author.username }));
  members = roomIds.flatMap((roomId) =>
    Array.from({ length: membersPerRoom }, (_, number) => new ReconnectingClient(roomId, `member-${number}`)),
  );
  await inBatches(members, (member) => member.join(url));
  await inBatches(roomIds, async (roomId) => {
    await client.ask('create:chat', { roomId, username: author.username, message: TEXT });
    const { epoch, seq, tail } = await client.ask('list:chats', { roomId, limit: 1 });
    positions.set(roomId, { epoch, seq, id: tail });
  });
  while (members.some(({ chats }) => chats === 0)) await sleep(10);
  client.close();
}

async function say(url: string, chats: number): Promise<void> {
  const client = await RawClient.connect(url, { session: author.session });
  const chatsOfAll = Array.from({ length: chats }, () => [...positions.keys()]).flat();
  await inBatches(chatsOfAll, (roomId) => client.ask('create:chat', { roomId, username: author.username, message: TEXT }));
  client.close();
}

async function comeBack(url: string, how: ReconnectMethod, missed: number): Promise<StormResult> {
  const begun = performance.now();
  const returned: StormResult = { times: [], lost: 0, failures: [] };

  async function attempt(member: ReconnectingClient): Promise<void> {
    if (how === 'stock') return member.recover(url, missed);
    const chats = await member.resume(url, positions.get(member.place.roomId) as Position);
    if (chats !== missed) throw new Error(`A member was told ${chats} chats of ${missed}.`);
  }
  async function untilCaughtUp(member: ReconnectingClient): Promise<void> {
    while (performance.now() - begun < PATIENCE_MS) {
      try {
        await attempt(member);
        returned.times.push(performance.now() - begun);
        return;
      } catch (error) {
        returned.failures.push((error as Error).message);
        await sleep(RETRY_MS * (1 + Math.random()));
      }
    }
  }

  await Promise.race([Promise.all(members.map(untilCaughtUp)), sleep(PATIENCE_MS)]);
  return { ...returned, lost: members.length - returned.times.length };
}

let talking: { timers: NodeJS.Timeout[]; latencies: Promise<number>[] } = { timers: [], latencies: [] };

/** The members begin one after the other, so that their chats are spread over the time. */
function talk(everyMs: number): void {
  const latencies: Promise<number>[] = [];
  const begun = performance.now();
  const timers = members.map((member, index) => {
    let due = begun + (index / members.length) * everyMs;
    const sayWhatIsDue = () => {
      for (; due <= performance.now(); due += everyMs) latencies.push(sayOne(member, due));
    };
    return setInterval(sayWhatIsDue, 5);
  });
  talking = { timers, latencies };
}

async function sayOne({ client, place }: ReconnectingClient, due: number): Promise<number> {
  await client?.ask('create:chat', { ...place, message: TEXT });
  return performance.now() - due;
}

async function hush(): Promise<number[]> {
  for (const timer of talking.timers) clearInterval(timer);
  return Promise.all(talking.latencies);
}

handleCommands<StormCommand>(async (order) => {
  switch (order.do) {
    case 'gather':
      return gather(order);
    case 'say':
      return say(order.url, order.chats);
    case 'return':
      return comeBack(order.url, order.how, order.missed);
    case 'talk':
      return talk(order.everyMs);
    case 'hush':
      return hush();
  }
});
