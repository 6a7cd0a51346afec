/** Those who come and go: each visit is one of the deeds below, and whatever it leaves behind is what a soak is for. */
import { randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from '../load/raw-client.ts';

interface Visit {
  url: string;
  /** A room that always is. */
  roomId: string;
  username: string;
  session: string;
}

const AWAY_MS = 30;
const STOPPED_MS = 400;
const LONG = 'x'.repeat(3_000);

const deeds: Record<string, (visit: Visit) => Promise<void>> = {
  async leaves(visit) {
    const client = await joined(visit);
    await say(client, visit, 3);
    await client.ask('remove:member', placeOf(visit));
    client.close();
  },
  async drops(visit) {
    const client = await joined(visit);
    void say(client, visit, 3).catch(() => undefined);
    await sleep(AWAY_MS);
    client.close();
  },
  async comesBack(visit) {
    const client = await joined(visit);
    const { epoch, seq, tail: id } = await client.ask('list:chats', { roomId: visit.roomId, limit: 1 });
    client.close();
    await sleep(AWAY_MS);
    const again = await RawClient.connect(visit.url, { session: visit.session });
    await again.ask('resume:rooms', { rooms: [{ ...placeOf(visit), epoch, seq, id }] });
    await say(again, visit, 1);
    await again.ask('remove:member', placeOf(visit));
    again.close();
  },
  async recovers(visit) {
    const client = await joined(visit);
    const { pid } = client;
    client.close();
    await sleep(AWAY_MS);
    const again = await RawClient.connect(visit.url, { ...(pid !== undefined && { pid }), offset: '0' });
    await sleep(AWAY_MS);
    again.close();
  },
  async stopsReading(visit) {
    const client = await joined(visit);
    for (let number = 0; number < 20; number += 1) void say(client, { ...visit, text: LONG }, 1).catch(() => undefined);
    client.stopReading();
    await sleep(STOPPED_MS);
    client.close();
  },
  async catchesUp(visit) {
    const client = await joined(visit);
    client.stopReading();
    await sleep(STOPPED_MS);
    client.resumeReading();
    await client.ask('remove:member', placeOf(visit));
    client.close();
  },
  async signals(visit) {
    const client = await RawClient.connect(visit.url, { session: visit.session });
    const { seq } = await client.ask('add:member', placeOf(visit));
    await client.ask('start:typing', placeOf(visit));
    await client.ask('update:presence', { ...placeOf(visit), presence: 'away' });
    await client.ask('mark:read', { ...placeOf(visit), seq });
    client.close();
  },
  async edits(visit) {
    const client = await joined(visit);
    const { seq: chatSeq } = await client.ask('create:chat', { ...placeOf(visit), message: 'first', clientId: randomUUID() });
    await client.ask('update:chat', { ...placeOf(visit), chatSeq, message: 'second' });
    await client.ask('add:reaction', { ...placeOf(visit), chatSeq, reaction: '+' });
    await client.ask('delete:chat', { ...placeOf(visit), chatSeq });
    client.close();
  },
  async opensRoom({ url, username, session }) {
    const client = await RawClient.connect(url, { session });
    const own = { roomId: `own-${randomUUID()}`, username };
    await client.ask('create:room', own);
    await client.ask('create:chat', { ...own, message: 'nobody hears it' });
    if (Math.random() < 0.5) await client.ask('delete:room', own);
    client.close();
  },
  async isRefused(visit) {
    const client = await RawClient.connect(visit.url);
    await refusal(client.ask('create:chat', { ...placeOf(visit), message: 'not a member' }));
    await refusal(client.ask('add:member', { roomId: `none-${randomUUID()}`, username: visit.username }));
    client.close();
  },
  /** Half of a request, and gone. */
  async knocks({ url }) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n');
    await sleep(AWAY_MS);
    socket.destroy();
  },
};

export const CHURN_ACTIONS: readonly string[] = Object.keys(deeds);

/** Visits one after the other until it is time, all deeds by turns. Answers how many. */
export async function churnUntil(
  until: number,
  { url, roomIds, first }: { url: string; roomIds: string[]; first: number },
): Promise<number> {
  let visits = 0;
  for (; performance.now() < until; visits += 1) {
    const number = first + visits;
    const [roomId = '', deed = ''] = [roomIds[number % roomIds.length], CHURN_ACTIONS[number % CHURN_ACTIONS.length]];
    await visit(deed, { url, roomId, username: `visitor-${randomUUID()}`, session: randomBytes(24).toString('base64url') });
  }
  return visits;
}

async function visit(deed: string, as: Visit): Promise<void> {
  try {
    await deeds[deed]?.(as);
  } catch (error) {
    throw new Error(`A visitor who ${deed} failed: ${(error as Error).message}`, { cause: error });
  }
}

const placeOf = ({ roomId, username }: Visit): { roomId: string; username: string } => ({ roomId, username });

async function joined(visit: Visit): Promise<RawClient> {
  const client = await RawClient.connect(visit.url, { session: visit.session });
  await client.ask('add:member', placeOf(visit));
  return client;
}

async function say(client: RawClient, visit: Visit & { text?: string }, chats: number): Promise<void> {
  for (let number = 0; number < chats; number += 1)
    await client.ask('create:chat', { ...placeOf(visit), message: visit.text ?? `chat ${number}`, clientId: randomUUID() });
}

async function refusal(asked: Promise<unknown>): Promise<void> {
  const isAllowed = await asked.then(
    () => true,
    () => false,
  );
  if (isAllowed) throw new Error('What should be refused was done.');
}
