// Runs one fuzz case: each request must be answered, or the connection closed.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Target } from '../../generator/socketio-client.ts';
import type { FuzzCase, Visit } from './fuzz-case.ts';
import { LEARNED } from './grammar.ts';
import { expectedAck, isOpenEnded, type Packet } from './packet.ts';
import { openPolling, ServerFault } from './polling-session.ts';
import type { Session } from './session.ts';
import { openUpgraded, openWebSocket } from './websocket-session.ts';

export interface CaseResult {
  packets: number;
  /** The fault of the server, as a sentence. */
  fault?: string;
}

interface Learned {
  epoch?: string;
  entryId?: string;
  pid?: string;
  offset?: string;
}

const DEADLINE_MS = 30_000;
const LOOK_EVERY_MS = 5;
const openers = { websocket: openWebSocket, polling: openPolling, upgrade: openUpgraded } as const;

/** `deadline`: milliseconds without any response after which the missing ones count as a fault. */
export async function runCase(target: Target, { visits, localAddress }: FuzzCase, { deadline = DEADLINE_MS } = {}): Promise<CaseResult> {
  const learned: Learned = {};
  let packets = 0;
  for (const visit of visits) {
    const fault = await runVisit(target, { visit, localAddress, learned, deadline }).catch(faultIn);
    packets += visit.packets.length;
    if (fault !== undefined) return { packets, fault };
  }
  return { packets };
}

interface Stay {
  visit: Visit;
  localAddress: string;
  learned: Learned;
  deadline: number;
}

async function runVisit(target: Target, { visit, localAddress, learned, deadline }: Stay): Promise<string | undefined> {
  const session = await openers[visit.transport](target, localAddress);
  try {
    await session.sendAll(visit.mutatedConnect, 1);
    const { pid } = await inTime(session.connect(authOf(visit, learned)), deadline);
    for (const request of visit.setUp) learn(learned, await inTime(session.ask(request), deadline));
    if (pid !== undefined) learned.pid = pid;
    return await exchange(session, { visit, learned, deadline });
  } finally {
    const offset = session.offset();
    if (offset !== undefined) learned.offset = offset;
    session.end(visit.ending);
  }
}

/** A server that closes or refuses the connection has answered. */
const faultIn = (error: unknown): string | undefined =>
  error instanceof Unanswered || error instanceof ServerFault ? error.message : undefined;

class Unanswered extends Error {
  override readonly name = 'Unanswered';
}

const inTime = <Value>(promise: Promise<Value>, deadline: number): Promise<Value> => {
  const late = sleep(deadline, undefined, { ref: false }).then(() => Promise.reject(new Unanswered('a valid request was not answered')));
  return Promise.race([promise, late]);
};

function authOf({ auth, recover }: Visit, { pid, offset }: Learned): object {
  return recover && pid !== undefined ? { ...auth, pid, offset: offset ?? '1' } : auth;
}

function learn(learned: Learned, { epoch, id }: { epoch?: string; id?: string | null }): void {
  if (epoch !== undefined) learned.epoch = epoch;
  if (id) learned.entryId = id;
}

/** Sends all packets and waits for the acknowledgements. After an open-ended frame none is expected. */
async function exchange(session: Session, { visit, learned, deadline }: Omit<Stay, 'localAddress'>): Promise<string | undefined> {
  const sent = visit.packets.map((packet) => rendered(packet, learned));
  const owed = new OwedAcks(sent);
  session.onAck = (id) => owed.settle(id);
  await session.sendAll(sent, visit.batch);
  if (sent.some(isOpenEnded)) return undefined;
  void session.ask({ event: 'list:rooms', payload: { limit: 1 } }).then(
    () => owed.endProbe(),
    () => undefined,
  );
  // A slow machine is no fault: only a time without any response is.
  while (!session.isClosed() && !owed.isEmpty) {
    if (performance.now() - owed.progressAt > deadline) return owed.toString();
    await sleep(LOOK_EVERY_MS);
  }
  return undefined;
}

/** The acknowledgements that are outstanding, by their ids, and that of a final request. */
class OwedAcks {
  progressAt = performance.now();
  readonly #counts = new Map<number, number>();
  #isProbeOwed = true;

  constructor(packets: readonly Packet[]) {
    for (const id of packets.map(expectedAck)) if (id !== undefined) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0 && !this.#isProbeOwed;
  }

  settle(id: number): void {
    this.progressAt = performance.now();
    const left = (this.#counts.get(id) ?? 0) - 1;
    if (left > 0) this.#counts.set(id, left);
    else this.#counts.delete(id);
  }

  endProbe(): void {
    this.progressAt = performance.now();
    this.#isProbeOwed = false;
  }

  toString(): string {
    const [first] = this.#counts.keys();
    return first === undefined
      ? 'the last request was not answered'
      : `${this.#counts.size} requests were not answered, the first of them ${first}`;
  }
}

function rendered(packet: Packet, { epoch = 'none', entryId = 'none' }: Learned): Packet {
  if (typeof packet.data !== 'string' || !packet.data.includes('$e')) return packet;
  return { ...packet, data: packet.data.replaceAll(LEARNED.epoch, epoch).replaceAll(LEARNED.entryId, entryId) };
}
