// The load generator: several processes, each on a core of its own, that act as the clients of a server.
import { setTimeout as sleep } from 'node:timers/promises';
import { forkChild } from '../processes/child-processes.ts';
import { type SendCommand, withWorker } from '../processes/worker-rpc.ts';
import { monotonicMs } from './clock.ts';
import { loadCores } from './cpu-pinning.ts';
import { Histogram, type HistogramCounts } from './histogram.ts';
import type { Dialect } from './virtual-user.ts';

/** Rooms that are measured together, each with as many members. */
export interface RoomGroup {
  name: string;
  rooms: number;
  members: number;
  /** The last so many members of each room stop reading once all have joined. */
  stopped?: number;
  /** The connections of a room are one member, who joins over the first connection only. */
  isOnePerson?: boolean;
  /** The first so many members of each room send, and only the others count as readers. By default all send and read. */
  senders?: number;
  /** Several servers: the room of that number sends over one of the first, its readers are spread over the second. */
  urls?: { senders: string[]; readers: string[] };
}

export interface Target {
  url: string;
  dialect: Dialect;
}

/** What one of several processes does: every `of`th member, from the `index`th. */
export interface WorkerShare {
  index: number;
  of: number;
}

export interface JoinPhase {
  target: Target;
  groups: RoomGroup[];
  textBytes: number;
  /** Chats ask for an acknowledgement. */
  acknowledged?: boolean;
  /** Members that join at the same time. */
  concurrency?: number;
  /** Members that have not joined by then are counted as refused. */
  deadlineMs: number;
}

export interface JoinResult {
  joined: number;
  wanted: number;
  seconds: number;
  /** Bytes that all members received meanwhile, WebSocket frames and handshakes included. */
  bytes: number;
  /** The first few reasons why members could not join. */
  refusals: string[];
}

export interface LoadPhase {
  /** Chats a second of each group. */
  perSecond: number[];
  warmUpMs: number;
  measuredMs: number;
  /** A delivery that is later than this after the last chat counts as lost. */
  deadlineMs: number;
}

/** How the processes of the load did while it was measured. */
interface GeneratorUsage {
  /** CPU in cores, of the busiest process. */
  cpu: number;
  /** Microseconds by which chats were sent late. */
  lag: Histogram;
}

/** The deliveries of a group that were due in the measured time. */
export interface DeliveryResult {
  group: string;
  sent: number;
  /** How many deliveries there should be. */
  due: number;
  /** Microseconds from when a chat was due to be sent until a member received it. */
  latency: Histogram;
}

export interface LoadResult {
  groups: DeliveryResult[];
  load: GeneratorUsage;
  seconds: number;
  /** Size of a broadcast chat, without the head of its frame. */
  bytesPerDelivery: number;
  refused: number;
  /** Connections that the server closed. */
  lost: number;
}

export interface AckResult {
  seconds: number;
  acknowledged: number;
  refused: number;
  latency: Histogram;
  load: GeneratorUsage;
}

/** How members return after a drop: with `resume:rooms`, as the SDK does, or by session recovery, as plain clients do. */
export type ReturnMethod = 'resume:rooms' | 'session recovery';

export interface ReturningPhase {
  url: string;
  how: ReturnMethod;
  roomIds: string[];
  membersPerRoom: number;
}

export interface ReturnResult {
  /** Milliseconds until each member had received everything. */
  times: number[];
  /** Members that had not received everything within a minute. */
  lost: number;
  /** Why attempts failed; each was repeated. */
  failures: string[];
}

export type LoadCommand =
  | { do: 'join'; entrance: 'first' | 'rest'; phase: JoinPhase; part: WorkerShare }
  | { do: 'connect'; target: Target; count: number; concurrency: number }
  | { do: 'run'; run: number; beginAtMs: number; phase: LoadPhase; part: WorkerShare }
  | { do: 'counts' }
  | { do: 'figures' }
  | { do: 'acks'; warmUpMs: number; measuredMs: number }
  | { do: 'join-returning'; phase: ReturningPhase; part: WorkerShare }
  | { do: 'await-chats'; chats: number }
  | { do: 'return'; url: string; chats: number };

export interface WorkerFigures {
  sent: number[];
  latencies: HistogramCounts[];
  lag: HistogramCounts;
  cpu: number;
  bytes: number;
  received: number;
  refused: number;
  lost: number;
}

/** Until all processes have received the command to begin. */
const BEGIN_DELAY_MS = 50;
const POLL_MS = 20;
const CONCURRENCY = 100;

export class LoadGenerator {
  readonly #send: SendCommand<LoadCommand>[];
  #groups: RoomGroup[] = [];
  #run = 0;

  constructor(send: SendCommand<LoadCommand>[]) {
    this.#send = send;
  }

  /** The first member of each room creates it, then the others join. */
  async join(phase: JoinPhase): Promise<JoinResult> {
    this.#groups = phase.groups;
    const begun = performance.now();
    const shared = { ...phase, concurrency: Math.ceil((phase.concurrency ?? CONCURRENCY) / this.#send.length) };
    const enter = (entrance: 'first' | 'rest') => this.#all<JoinResult>((part) => ({ do: 'join', entrance, phase: shared, part }));
    const parts = [...(await enter('first')), ...(await enter('rest'))];
    return {
      joined: sum(parts.map(({ joined }) => joined)),
      wanted: sum(phase.groups.map(({ rooms, members }) => rooms * members)),
      seconds: (performance.now() - begun) / 1000,
      bytes: sum(parts.map(({ bytes }) => bytes)),
      refusals: parts.flatMap(({ refusals }) => refusals).slice(0, 3),
    };
  }

  /** Opens connections that do nothing. Returns how many were accepted a second. */
  async connect(target: Target, count: number): Promise<number> {
    const begun = performance.now();
    const connected = await this.#all<number>((part) => ({
      do: 'connect',
      target,
      count: Math.ceil((count - part.index) / part.of),
      concurrency: Math.ceil(CONCURRENCY / part.of),
    }));
    return sum(connected) / ((performance.now() - begun) / 1000);
  }

  /** Sends chats at a rate. Calls `onMeasure` after the warm-up, and its result at the end of the measured time. */
  async runLoad(phase: LoadPhase, onMeasure: () => () => void = () => () => undefined): Promise<LoadResult> {
    this.#run += 1;
    const beginAtMs = monotonicMs() + BEGIN_DELAY_MS;
    const running = this.#all<void>((part) => ({ do: 'run', run: this.#run, beginAtMs, phase, part }));
    await Promise.race([sleep(BEGIN_DELAY_MS + phase.warmUpMs), running]);
    const end = onMeasure();
    await Promise.race([sleep(phase.measuredMs), running]);
    end();
    await running;
    return toResult(this.#groups, await this.#untilReceived(phase.deadlineMs), phase.measuredMs / 1000);
  }

  /** Each connection has one chat in flight, and sends the next when it is acknowledged. */
  async measureAcks(times: { warmUpMs: number; measuredMs: number }): Promise<AckResult> {
    const parts = await this.#all<WorkerFigures>(() => ({ do: 'acks', ...times }));
    return {
      seconds: times.measuredMs / 1000,
      acknowledged: sum(parts.map(({ received }) => received)),
      refused: sum(parts.map(({ refused }) => refused)),
      latency: merge(parts.map(({ latencies }) => latencies[0] as HistogramCounts)),
      load: usageOf(parts),
    };
  }

  /** Members that will reconnect later join existing rooms. */
  async joinReturning(phase: ReturningPhase): Promise<void> {
    await this.#all<void>((part) => ({ do: 'join-returning', phase, part }));
  }

  /** Waits until each of them has received so many chats. */
  async awaitChats(chats: number): Promise<void> {
    await this.#all<void>(() => ({ do: 'await-chats', chats }));
  }

  /** All members return at once. Each has returned when it has received this many missed chats. */
  async returnAll(url: string, chats: number): Promise<ReturnResult> {
    const parts = await this.#all<ReturnResult>(() => ({ do: 'return', url, chats }));
    return {
      times: parts.flatMap(({ times }) => times),
      lost: sum(parts.map(({ lost }) => lost)),
      failures: parts.flatMap(({ failures }) => failures),
    };
  }

  async #untilReceived(deadlineMs: number): Promise<WorkerFigures[]> {
    for (const deadline = performance.now() + deadlineMs; ; await sleep(POLL_MS)) {
      const counts = await this.#all<{ sent: number[]; received: number }>(() => ({ do: 'counts' }));
      const due = sum(dueOf(this.#groups, counts));
      if (sum(counts.map(({ received }) => received)) >= due || performance.now() > deadline) return this.#all(() => ({ do: 'figures' }));
    }
  }

  #all<Figures>(command: (part: WorkerShare) => LoadCommand): Promise<Figures[]> {
    return Promise.all(this.#send.map((send, index) => send(command({ index, of: this.#send.length })) as Promise<Figures>));
  }
}

/** Runs `use` with a generator of one process for each core of the load. */
export function withLoadGenerator<Result>(
  use: (generator: LoadGenerator) => Promise<Result>,
  processes = loadCores().length,
): Promise<Result> {
  const script = new URL('./load-process.js', import.meta.url);
  const fork = (started: SendCommand<LoadCommand>[]): Promise<Result> =>
    started.length === processes
      ? use(new LoadGenerator(started))
      : withWorker<LoadCommand, Result>(script, (send) => fork([...started, send]), forkChild(script, loadCores()[started.length]));
  return fork([]);
}

const readersOf = ({ members, stopped = 0, senders = 0 }: RoomGroup): number => members - stopped - senders;

function toResult(groups: RoomGroup[], parts: WorkerFigures[], seconds: number): LoadResult {
  const due = dueOf(groups, parts);
  return {
    groups: groups.map(({ name }, index) => ({
      group: name,
      sent: sum(parts.map(({ sent }) => sent[index] ?? 0)),
      due: due[index] ?? 0,
      latency: merge(parts.map(({ latencies }) => latencies[index] as HistogramCounts)),
    })),
    load: usageOf(parts),
    seconds,
    bytesPerDelivery: sum(parts.map(({ bytes }) => bytes)) / sum(parts.map(({ received }) => received)),
    refused: sum(parts.map(({ refused }) => refused)),
    lost: sum(parts.map(({ lost }) => lost)),
  };
}

/** How many deliveries the readers of each group should have. */
const dueOf = (groups: RoomGroup[], parts: { sent: number[] }[]): number[] =>
  groups.map((group, index) => sum(parts.map(({ sent }) => sent[index] ?? 0)) * readersOf(group));

const usageOf = (parts: WorkerFigures[]): GeneratorUsage => ({
  cpu: Math.max(...parts.map(({ cpu }) => cpu)),
  lag: merge(parts.map(({ lag }) => lag)),
});

const merge = (counts: HistogramCounts[]): Histogram => counts.reduce((merged, each) => merged.include(each), new Histogram());
const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);
