import { setTimeout as sleep } from 'node:timers/promises';
import { forkChild } from '../processes/child-processes.ts';
import { type SendCommand, withWorker } from '../processes/worker-rpc.ts';
import { monotonicMs } from './clock.ts';
import { loadCores } from './cpu-pinning.ts';
import { Histogram, type HistogramCounts } from './histogram.ts';
import type { Dialect } from './virtual-user.ts';

/** Rooms that are measured together: as many members in each, of whom the last so many read nothing once all are in. */
export interface RoomGroup {
  name: string;
  rooms: number;
  members: number;
  stopped?: number;
  /** Of one room all are the same person, who joins it over the first connection only. */
  isOnePerson?: boolean;
}

export interface Target {
  url: string;
  dialect: Dialect;
}

/** What one of several processes has to do: every `of`th member, from the `index`th. */
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
  /** Members who are on their way at the same time. */
  atOnce?: number;
  /** Who is not in by then is not waited for. */
  patienceMs: number;
}

export interface JoinResult {
  joined: number;
  wanted: number;
  seconds: number;
  /** That all who came were sent meanwhile, WebSocket frames and handshakes included. */
  bytes: number;
  /** Why some did not come in; the first few. */
  refusals: string[];
}

export interface LoadPhase {
  /** Chats a second of each group. */
  perSecond: number[];
  warmUpMs: number;
  measuredMs: number;
  /** What was not heard so long after the last chat was due counts as never heard. */
  patienceMs: number;
}

/** What the processes of the load did while it was measured. */
interface LoadFigures {
  /** Of a core, of the busiest of them. */
  cpu: number;
  /** Microseconds by which chats were sent late. */
  lag: Histogram;
}

/** Of what was due in the measured time. */
export interface DeliveryResult {
  group: string;
  said: number;
  /** Deliveries that should be. */
  due: number;
  /** Microseconds from when a chat was due to be sent until a member had it. */
  latency: Histogram;
}

export interface LoadResult {
  groups: DeliveryResult[];
  load: LoadFigures;
  seconds: number;
  /** Of a chat as it is told, without the head of its frame. */
  bytesPerDelivery: number;
  /** Refusals, and connections that the server closed. */
  refused: number;
  lost: number;
}

export interface AckResult {
  seconds: number;
  acknowledged: number;
  refused: number;
  latency: Histogram;
  load: LoadFigures;
}

export type LoadCommand =
  | { do: 'gather'; entrance: 'first' | 'rest'; gathering: JoinPhase; part: WorkerShare }
  | { do: 'connect'; target: Target; count: number; atOnce: number }
  | { do: 'talk'; run: number; beginAtMs: number; talk: LoadPhase; part: WorkerShare }
  | { do: 'heard' }
  | { do: 'figures' }
  | { do: 'ask'; warmUpMs: number; measuredMs: number };

export interface WorkerFigures {
  said: number[];
  latencies: HistogramCounts[];
  lag: HistogramCounts;
  cpu: number;
  bytes: number;
  heard: number;
  refused: number;
  lost: number;
}

/** A moment for all processes to be told before they begin. */
const AHEAD_MS = 50;
const LOOK_EVERY_MS = 20;
const AT_ONCE = 100;

/** Several processes that make load together. */
export class LoadGenerator {
  readonly #give: SendCommand<LoadCommand>[];
  #groups: RoomGroup[] = [];
  #run = 0;

  constructor(give: SendCommand<LoadCommand>[]) {
    this.#give = give;
  }

  /** Rooms first: who opens one is its first member. */
  async join(gathering: JoinPhase): Promise<JoinResult> {
    this.#groups = gathering.groups;
    const begun = performance.now();
    const enter = (entrance: 'first' | 'rest') =>
      this.#all<JoinResult>((part) => ({ do: 'gather', entrance, gathering: withDefaults(gathering, this.#give.length), part }));
    const parts = [...(await enter('first')), ...(await enter('rest'))];
    return {
      joined: sum(parts.map(({ joined }) => joined)),
      wanted: sum(gathering.groups.map(({ rooms, members }) => rooms * members)),
      seconds: (performance.now() - begun) / 1000,
      bytes: sum(parts.map(({ bytes }) => bytes)),
      refusals: parts.flatMap(({ refusals }) => refusals).slice(0, 3),
    };
  }

  /** So many connections that do nothing; how many of them were taken a second. */
  async connect(target: Target, count: number): Promise<number> {
    const begun = performance.now();
    const connected = await this.#all<number>((part) => ({
      do: 'connect',
      target,
      count: Math.ceil((count - part.index) / part.of),
      atOnce: Math.ceil(AT_ONCE / part.of),
    }));
    return sum(connected) / ((performance.now() - begun) / 1000);
  }

  /** Everybody talks by turns. `whenMeasured` is called when the warm-up is over, and answers what is called when the measured time is. */
  async runLoad(talk: LoadPhase, whenMeasured: () => () => void = () => () => undefined): Promise<LoadResult> {
    this.#run += 1;
    const beginAtMs = monotonicMs() + AHEAD_MS;
    const talking = this.#all<void>((part) => ({ do: 'talk', run: this.#run, beginAtMs, talk, part }));
    await Promise.race([sleep(AHEAD_MS + talk.warmUpMs), talking]);
    const end = whenMeasured();
    await Promise.race([sleep(talk.measuredMs), talking]);
    end();
    await talking;
    const parts = await this.#untilHeard(talk.patienceMs);
    return toTalked(this.#groups, parts, talk.measuredMs / 1000);
  }

  /** Everybody has one chat under way at any time. */
  async measureAcks(times: { warmUpMs: number; measuredMs: number }): Promise<AckResult> {
    const parts = await this.#all<WorkerFigures>(() => ({ do: 'ask', ...times }));
    return {
      seconds: times.measuredMs / 1000,
      acknowledged: sum(parts.map(({ heard }) => heard)),
      refused: sum(parts.map(({ refused }) => refused)),
      latency: mergedOf(parts.map(({ latencies }) => latencies[0] as HistogramCounts)),
      load: loadOf(parts),
    };
  }

  async #untilHeard(patienceMs: number): Promise<WorkerFigures[]> {
    for (const giveUpAt = performance.now() + patienceMs; ; await sleep(LOOK_EVERY_MS)) {
      const counts = await this.#all<{ said: number[]; heard: number }>(() => ({ do: 'heard' }));
      const due = sum(dueOf(this.#groups, counts));
      if (sum(counts.map(({ heard }) => heard)) >= due || performance.now() > giveUpAt) return this.#all(() => ({ do: 'figures' }));
    }
  }

  #all<Figures>(order: (part: WorkerShare) => LoadCommand): Promise<Figures[]> {
    return Promise.all(this.#give.map((give, index) => give(order({ index, of: this.#give.length })) as Promise<Figures>));
  }
}

/** Runs `use` with a generator on cores of its own. */
export function withLoadGenerator<Result>(
  use: (generator: LoadGenerator) => Promise<Result>,
  processes = loadCores().length,
): Promise<Result> {
  const script = new URL('./load-process.js', import.meta.url);
  const start = (gives: SendCommand<LoadCommand>[]): Promise<Result> =>
    gives.length === processes
      ? use(new LoadGenerator(gives))
      : withWorker<LoadCommand, Result>(script, (give) => start([...gives, give]), forkChild(script, loadCores()[gives.length]));
  return start([]);
}

const withDefaults = (gathering: JoinPhase, processes: number): JoinPhase => ({
  ...gathering,
  atOnce: Math.ceil((gathering.atOnce ?? AT_ONCE) / processes),
});

function toTalked(groups: RoomGroup[], parts: WorkerFigures[], seconds: number): LoadResult {
  const due = dueOf(groups, parts);
  return {
    groups: groups.map(({ name }, index) => ({
      group: name,
      said: sum(parts.map(({ said }) => said[index] ?? 0)),
      due: due[index] ?? 0,
      latency: mergedOf(parts.map(({ latencies }) => latencies[index] as HistogramCounts)),
    })),
    load: loadOf(parts),
    seconds,
    bytesPerDelivery: sum(parts.map(({ bytes }) => bytes)) / sum(parts.map(({ heard }) => heard)),
    refused: sum(parts.map(({ refused }) => refused)),
    lost: sum(parts.map(({ lost }) => lost)),
  };
}

/** Of each group the deliveries that its readers should have. */
const dueOf = (groups: RoomGroup[], parts: { said: number[] }[]): number[] =>
  groups.map(({ members, stopped = 0 }, index) => sum(parts.map(({ said }) => said[index] ?? 0)) * (members - stopped));

const loadOf = (parts: WorkerFigures[]): LoadFigures => ({
  cpu: Math.max(...parts.map(({ cpu }) => cpu)),
  lag: mergedOf(parts.map(({ lag }) => lag)),
});

const mergedOf = (counts: HistogramCounts[]): Histogram => counts.reduce((merged, each) => merged.include(each), new Histogram());
const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);
