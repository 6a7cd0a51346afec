/** Random programs of server actions, run on a real server with plain Socket.IO clients. */

import { until } from '@engawa/testkit/wait-for';
import fc from 'fast-check';
import type { Server, Socket } from 'socket.io';
import { type ClientPair, connectPair, pairOf, type RunningServer, waitUntilDelivered } from './server.ts';

/** How the clients of every program are connected. The last one has a second namespace on its connection. */
const CLIENTS = [
  { transports: ['websocket'] },
  { transports: ['polling'] },
  { transports: ['polling', 'websocket'] },
  { transports: ['websocket'] },
];
const ROOMS = ['den', 'hall', 'attic'];
const OTHER = '/other';

const room = fc.constantFrom(...ROOMS);
const clientIndex = fc.nat(CLIENTS.length - 1);
const text = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  { weight: 2, arbitrary: fc.constantFrom(...[121, 122, 123, 124, 125, 126, 300].map((length) => 'x'.repeat(length))) },
  { weight: 1, arbitrary: fc.constantFrom('ü'.repeat(40_000), '\ud800 alone', 'y'.repeat(65_600)) },
);

/** The actions of a server. */
export const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('room' as const), room, text }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('broadcast' as const), text }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('other namespace' as const), room, text }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('two rooms' as const, 'except' as const), room, second: room, text }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('from' as const), who: clientIndex, room, text }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('direct' as const, 'direct with answer' as const), who: clientIndex, text }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('with answers' as const, 'binary' as const, 'compressed' as const), room, text }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('join' as const, 'leave' as const), who: clientIndex, room }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('all join' as const, 'all leave' as const), room, second: room }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave all' as const), who: clientIndex }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('ask' as const, 'client disconnects' as const, 'connect' as const), who: clientIndex }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('disconnect' as const), who: clientIndex, close: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), milliseconds: fc.nat(6) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Runs the program on a server with plain Socket.IO clients. Returns what each client received and answered. */
export async function runProgram(running: RunningServer, steps: Step[]): Promise<string[][]> {
  running.io.of(OTHER).on('connection', (socket) => void socket.join(ROOMS));
  const pairs = await Promise.all(CLIENTS.map((options) => connectPair(running, options)));
  const other = await openOther(running.io, pairs.at(-1)!);
  const all = [...pairs];
  const answers: Promise<string>[] = [];
  for (const [at, { socket }] of pairs.entries()) void socket.join(ROOMS.slice(0, at));
  for (const each of steps) await new ProgramRunner(running, pairs, { all, answers }).perform(each);
  // Its connection may exist for the second namespace alone.
  await waitForEnd(other);
  for (const pair of all) await waitForEnd(pair);
  const answered = await Promise.all(answers);
  // An answer shortly before a disconnect may arrive in time or not, with either adapter.
  const isEnded = steps.some((each) => each.do === 'disconnect' || each.do === 'client disconnects');
  return [...all.map(({ received }) => [...received]), isEnded ? [] : answered];
}

/** The second namespace of the connection: its events are recorded with the others. */
async function openOther(io: Server, { client, received }: ClientPair): Promise<ClientPair> {
  const other = await pairOf(io, client.io.socket(OTHER), OTHER);
  other.client.onAny((...args: unknown[]) => received.push(`other: ${JSON.stringify(args)}`));
  return other;
}

async function waitForEnd(pair: ClientPair): Promise<void> {
  if (pair.socket.connected) await waitUntilDelivered(pair);
  else await until(() => pair.client.disconnected, 'a client noticed its end');
}

class ProgramRunner {
  readonly #running: RunningServer;
  readonly #pairs: ClientPair[];
  readonly #results: { all: ClientPair[]; answers: Promise<string>[] };

  constructor(running: RunningServer, pairs: ClientPair[], results: { all: ClientPair[]; answers: Promise<string>[] }) {
    this.#running = running;
    this.#pairs = pairs;
    this.#results = results;
  }

  async perform(step: Step): Promise<void> {
    const { io } = this.#running;
    switch (step.do) {
      case 'room':
        return void io.to(step.room).emit('room', step.room, step.text);
      case 'broadcast':
        return void io.emit('broadcast', step.text);
      case 'other namespace':
        return void io.of(OTHER).to(step.room).emit('room', step.text);
      case 'two rooms':
        return void io.to(step.room).to(step.second).emit('two rooms', step.text);
      case 'except':
        return void io.to(step.room).except(step.second).emit('except', step.text);
      case 'from':
        return void this.#socket(step.who).to(step.room).emit('from', step.text);
      case 'direct':
        return void this.#socket(step.who).emit('direct', step.text);
      case 'direct with answer':
        if (this.#socket(step.who).connected) this.#recordAnswer(this.#socket(step.who).timeout(1_000).emitWithAck('asked', step.text));
        return;
      case 'with answers':
        return this.#recordAnswer(io.to(step.room).timeout(1_000).emitWithAck('asked', step.text));
      case 'binary':
        return void io.to(step.room).emit('binary', Buffer.from(step.text), { and: step.text });
      case 'compressed':
        return void io.to(step.room).compress(true).emit('compressed', step.text);
      case 'join':
        return void this.#socket(step.who).join(step.room);
      case 'leave':
        return void this.#socket(step.who).leave(step.room);
      case 'all join':
        return io.in(step.room).socketsJoin(step.second);
      case 'all leave':
        return io.in(step.room).socketsLeave(step.second);
      case 'leave all':
        return (this.#socket(step.who) as unknown as { leaveAll(): void }).leaveAll();
      case 'ask':
        return this.#roundTrip(this.#pairs[step.who]!);
      case 'connect':
        return this.#connect(step.who);
      case 'client disconnects':
        return this.#disconnectClient(this.#pairs[step.who]!);
      case 'disconnect':
        return this.#disconnect(this.#pairs[step.who]!, step.close);
      case 'wait':
        if (step.milliseconds === 0) return;
        return new Promise((resolve) => (step.milliseconds === 1 ? setImmediate(resolve) : setTimeout(resolve, step.milliseconds)));
    }
  }

  #socket(who: number): Socket {
    return this.#pairs[who]!.socket;
  }

  /** Rejected if the client leaves before it answers, with either adapter. */
  #recordAnswer(answer: Promise<unknown>): void {
    this.#results.answers.push(
      answer.then(
        (given) => JSON.stringify(given),
        () => 'none',
      ),
    );
  }

  async #roundTrip(pair: ClientPair): Promise<void> {
    if (pair.socket.connected) await waitUntilDelivered(pair);
  }

  async #connect(who: number): Promise<void> {
    await waitForEnd(this.#pairs[who]!);
    const pair = await connectPair(this.#running, CLIENTS[who]);
    this.#pairs[who] = pair;
    this.#results.all.push(pair);
    await pair.socket.join(ROOMS[0]!);
  }

  /** An answer for a closed namespace ends the connection, at an arbitrary time: wait until none is pending. */
  async #disconnect(pair: ClientPair, close: boolean): Promise<void> {
    if (pair.client.io === this.#pairs.at(-1)?.client.io) for (let times = 0; times < 2; times += 1) await this.#roundTrip(pair);
    pair.socket.disconnect(close);
  }

  /** Packets in flight to a client that disconnects may arrive or not: wait until it has received all of them. */
  async #disconnectClient(pair: ClientPair): Promise<void> {
    await waitForEnd(pair);
    pair.client.disconnect();
    await until(() => pair.socket.disconnected, 'the server noticed the end');
  }
}
