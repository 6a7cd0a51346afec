// The visits of a soak test: each is one of the actions below, and must leave nothing behind in the server.
import { randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo, type SocketIoClient } from '../generator/socketio-client.ts';

interface Visit {
  url: string;
  /** A room of the residents. */
  roomId: string;
  username: string;
  session: string;
}

const AWAY_MS = 30;
const STOPPED_MS = 400;
const LONG = 'x'.repeat(3_000);

const actions: Record<string, (visit: Visit) => Promise<void>> = {
  async leaves(visit) {
    const client = await joined(visit);
    await send(client, visit, 3);
    await client.request('remove:member', placeOf(visit));
    client.end();
  },
  async drops(visit) {
    const client = await joined(visit);
    void send(client, visit, 3).catch(() => undefined);
    await sleep(AWAY_MS);
    client.end();
  },
  async comesBack(visit) {
    const client = await joined(visit);
    const { epoch, seq, lastId: id } = await client.request('list:chats', { roomId: visit.roomId, limit: 1 });
    client.end();
    await sleep(AWAY_MS);
    const again = await connectTo(visit.url, { auth: { session: visit.session } });
    const { rooms } = await again.request('resume:rooms', { rooms: [{ ...placeOf(visit), epoch, seq, id }] });
    // On a slow machine it may be later than the grace.
    if (rooms[0]?.outcome === 'caught_up') {
      await send(again, visit, 1);
      await again.request('remove:member', placeOf(visit));
    }
    again.end();
  },
  async recovers(visit) {
    const client = await joined(visit);
    const { pid } = client;
    client.end();
    await sleep(AWAY_MS);
    const again = await connectTo(visit.url, { auth: { ...(pid !== undefined && { pid }), offset: '0' } });
    await sleep(AWAY_MS);
    again.end();
  },
  async stopsReading(visit) {
    const client = await joined(visit);
    for (let number = 0; number < 20; number += 1) void send(client, { ...visit, text: LONG }, 1).catch(() => undefined);
    client.stopReading();
    await sleep(STOPPED_MS);
    client.end();
  },
  async catchesUp(visit) {
    const client = await joined(visit);
    client.stopReading();
    await sleep(STOPPED_MS);
    client.resumeReading();
    await client.request('remove:member', placeOf(visit));
    client.end();
  },
  async signals(visit) {
    const client = await connectTo(visit.url, { auth: { session: visit.session } });
    const { seq } = await client.request('add:member', placeOf(visit));
    await client.request('start:typing', placeOf(visit));
    await client.request('update:presence', { ...placeOf(visit), presence: 'away' });
    await client.request('mark:read', { ...placeOf(visit), seq });
    client.end();
  },
  async edits(visit) {
    const client = await joined(visit);
    const { seq: chatSeq } = await client.request('create:chat', { ...placeOf(visit), message: 'first', clientId: randomUUID() });
    await client.request('update:chat', { ...placeOf(visit), chatSeq, message: 'second' });
    await client.request('add:reaction', { ...placeOf(visit), chatSeq, reaction: '+' });
    await client.request('delete:chat', { ...placeOf(visit), chatSeq });
    client.end();
  },
  async opensRoom({ url, username, session }) {
    const client = await connectTo(url, { auth: { session } });
    const own = { roomId: `own-${randomUUID()}`, username };
    await client.request('create:room', own);
    await client.request('create:chat', { ...own, message: 'a chat without a reader' });
    if (Math.random() < 0.5) await client.request('delete:room', own);
    client.end();
  },
  async isRefused(visit) {
    const client = await connectTo(visit.url);
    await requireRefusal(client.request('create:chat', { ...placeOf(visit), message: 'not a member' }));
    await requireRefusal(client.request('add:member', { roomId: `none-${randomUUID()}`, username: visit.username }));
    client.end();
  },
  /** Half of a handshake. */
  async abortsHandshake({ url }) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n');
    await sleep(AWAY_MS);
    socket.destroy();
  },
};

export const CHURN_ACTIONS: readonly string[] = Object.keys(actions);

/** Makes one visit after the other until then, with all actions in turn. Returns how many. */
export async function churnUntil(
  until: number,
  { url, roomIds, first }: { url: string; roomIds: string[]; first: number },
): Promise<number> {
  let visits = 0;
  for (; performance.now() < until; visits += 1) {
    const number = first + visits;
    const [roomId = '', action = ''] = [roomIds[number % roomIds.length], CHURN_ACTIONS[number % CHURN_ACTIONS.length]];
    await visit(action, { url, roomId, username: `visitor-${randomUUID()}`, session: randomBytes(24).toString('base64url') });
  }
  return visits;
}

async function visit(action: string, as: Visit): Promise<void> {
  try {
    await actions[action]?.(as);
  } catch (error) {
    throw new Error(`The visit ${action} failed: ${(error as Error).message}`, { cause: error });
  }
}

const placeOf = ({ roomId, username }: Visit): { roomId: string; username: string } => ({ roomId, username });

async function joined(visit: Visit): Promise<SocketIoClient> {
  const client = await connectTo(visit.url, { auth: { session: visit.session } });
  await client.request('add:member', placeOf(visit));
  return client;
}

async function send(client: SocketIoClient, visit: Visit & { text?: string }, chats: number): Promise<void> {
  for (let number = 0; number < chats; number += 1)
    await client.request('create:chat', { ...placeOf(visit), message: visit.text ?? `chat ${number}`, clientId: randomUUID() });
}

async function requireRefusal(request: Promise<unknown>): Promise<void> {
  const isAllowed = await request.then(
    () => true,
    () => false,
  );
  if (isAllowed) throw new Error('The server accepted a request that it should refuse.');
}
