// A server with its members, the load on it, and what both used meanwhile.
import { busySeconds, SERVER_CORE } from '../generator/cpu-pinning.ts';
import {
  type DeliveryResult,
  type JoinPhase,
  type JoinResult,
  type LoadGenerator,
  type LoadPhase,
  withLoadGenerator,
} from '../generator/generator.ts';
import { kernelMemory } from '../profiling/kernel-memory.ts';
import { cpuUsage, residentBytes } from '../profiling/process-usage.ts';
import { type ServerKind, withServerOf } from './server-kinds.ts';
import type { ServerProcess } from './server-process.ts';

const MEBI = 2 ** 20;
/** Share of its core above which a process of the load is at its limit. */
export const MAX_LOAD_CPU = 0.9;
/** Chats that are sent later than this by a load that is not at its limit: another process used its core. */
const MAX_LAG_MS = 10;
/** Share of the server's core that other processes may use. The kernel's work for sockets, which counts for no process, is less. */
const MAX_OTHER_CPU = 0.3;

export interface TestBed {
  kind: ServerKind;
  server: ServerProcess;
  generator: LoadGenerator;
  joinResult: JoinResult;
}

export type Members = Omit<JoinPhase, 'target'>;

/** Runs `use` with a new server that these members have joined, as far as they could. */
export function withTestBed<Result>(
  kind: ServerKind,
  { folder, members }: { folder: string; members: Members },
  use: (bed: TestBed) => Promise<Result>,
): Promise<Result> {
  return withServerOf(kind, folder, (server) =>
    withLoadGenerator(async (generator) => {
      const joinResult = await generator.join({ ...members, target: { url: server.url, dialect: kind.dialect } });
      return use({ kind, server, generator, joinResult });
    }),
  );
}

export function requireAllJoined({ joined, wanted, refusals }: JoinResult): void {
  if (joined < wanted) throw new Error([`Only ${joined} of ${wanted} could join in time`, ...refusals.slice(0, 1)].join(': '));
}

/** Milliseconds, rates a second, CPU in cores, MiB. */
export interface LoadFigures {
  /** Deliveries that were due, and those that arrived, in time or late. */
  offered: number;
  delivered: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
  bytes: number;
  serverCpu: number;
  /** What other processes used of the server's core, with the kernel's work for no process. */
  othersCpu: number;
  loadCpu: number;
  loadLag: number;
  resident: number;
  tcp: number;
  refused: number;
  lost: number;
}

/** The figures of each group. */
export async function measureLoad({ generator, server }: TestBed, phase: LoadPhase): Promise<LoadFigures[]> {
  let used = { server: Number.NaN, core: Number.NaN };
  const result = await generator.runLoad(phase, () => {
    const before = sample(server);
    return () => {
      const after = sample(server);
      const seconds = (after.at - before.at) / 1000;
      used = { server: (after.cpu - before.cpu) / seconds, core: (after.busy - before.busy) / seconds };
    };
  });
  return result.groups.map((group) => ({
    ...latenciesOf(group),
    offered: group.due / result.seconds,
    delivered: group.latency.total / result.seconds,
    bytes: result.bytesPerDelivery,
    serverCpu: used.server,
    othersCpu: Math.max(used.core - used.server, 0),
    loadCpu: result.load.cpu,
    loadLag: result.load.lag.percentile(0.99) / 1000,
    resident: residentBytes(server.pid) / MEBI,
    tcp: kernelMemory().tcp / MEBI,
    refused: result.refused,
    lost: result.lost,
  }));
}

const sample = ({ pid }: ServerProcess) => ({ at: performance.now(), cpu: cpuUsage(pid).cpu, busy: busySeconds(SERVER_CORE) });

function latenciesOf({ latency, due }: DeliveryResult): Pick<LoadFigures, 'p50' | 'p99' | 'p999' | 'max'> {
  const milliseconds = (share: number): number => latency.percentile(share, due) / 1000;
  return { p50: milliseconds(0.5), p99: milliseconds(0.99), p999: milliseconds(0.999), max: milliseconds(1) };
}

/** What limited the result, as far as it shows. */
export function limitingPart({
  loadCpu,
  loadLag,
  othersCpu,
}: Pick<LoadFigures, 'loadCpu' | 'loadLag' | 'othersCpu'>): 'load' | 'machine' | 'server' {
  if (loadCpu > MAX_LOAD_CPU) return 'load';
  return loadLag > MAX_LAG_MS || othersCpu > MAX_OTHER_CPU ? 'machine' : 'server';
}
