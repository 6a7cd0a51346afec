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
/** Of its core: beyond that a process of the load has no time to spare. */
export const MAX_LOAD_CPU = 0.9;
/** Of chats that are sent later than that, while the load had time, something else kept it from its core. */
const LATE_LOAD_MS = 10;
/** Of the server's core. The kernel's work for its sockets, which counts for nobody, is less. */
const BUSY_MACHINE = 0.3;

/** A server with its people, and the generator that speaks for them. */
export interface TestBed {
  kind: ServerKind;
  server: ServerProcess;
  generator: LoadGenerator;
  joinResult: JoinResult;
}

export type UserGroups = Omit<JoinPhase, 'target'>;

/** Runs `use` with a new server of that kind that everybody has joined, as far as they came in. */
export function withTestBed<Result>(
  kind: ServerKind,
  { folder, company }: { folder: string; company: UserGroups },
  use: (scene: TestBed) => Promise<Result>,
): Promise<Result> {
  return withServerOf(kind, folder, (server) =>
    withLoadGenerator(async (generator) => {
      const joinResult = await generator.join({ ...company, target: { url: server.url, dialect: kind.dialect } });
      return use({ kind, server, generator, joinResult });
    }),
  );
}

/** Milliseconds, rates a second, shares of a core, MiB. */
export interface LoadFigures {
  /** Deliveries that were to be made, and were, in time or late. */
  offered: number;
  delivered: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
  bytes: number;
  serverCpu: number;
  /** Of the server's core, what others took of it; the kernel's work for nobody in particular included. */
  othersCpu: number;
  loadCpu: number;
  loadLag: number;
  resident: number;
  tcp: number;
  refused: number;
  lost: number;
}

/** Of each group. */
export async function measureLoad({ generator, server }: TestBed, talk: LoadPhase): Promise<LoadFigures[]> {
  let used = { server: Number.NaN, core: Number.NaN };
  const talked = await generator.runLoad(talk, () => {
    const begun = { at: performance.now(), ...look(server) };
    return () => {
      const seconds = (performance.now() - begun.at) / 1000;
      const { cpu, busy } = look(server);
      used = { server: (cpu - begun.cpu) / seconds, core: (busy - begun.busy) / seconds };
    };
  });
  return talked.groups.map((heard) => ({
    ...latenciesOf(heard),
    offered: heard.due / talked.seconds,
    delivered: heard.latency.total / talked.seconds,
    bytes: talked.bytesPerDelivery,
    serverCpu: used.server,
    othersCpu: Math.max(used.core - used.server, 0),
    loadCpu: talked.load.cpu,
    loadLag: talked.load.lag.percentile(0.99) / 1000,
    resident: residentBytes(server.pid) / MEBI,
    tcp: kernelMemory().tcp / MEBI,
    refused: talked.refused,
    lost: talked.lost,
  }));
}

const look = ({ pid }: ServerProcess): { cpu: number; busy: number } => ({ cpu: cpuUsage(pid).cpu, busy: busySeconds(SERVER_CORE) });

function latenciesOf({ latency, due }: DeliveryResult): Pick<LoadFigures, 'p50' | 'p99' | 'p999' | 'max'> {
  const milliseconds = (share: number): number => latency.percentile(share, due) / 1000;
  return { p50: milliseconds(0.5), p99: milliseconds(0.99), p999: milliseconds(0.999), max: milliseconds(1) };
}

/** Who was at his limit, as far as it shows: the load, the machine, which others used, or else the server. */
export function limitingPart({
  loadCpu,
  loadLag,
  othersCpu,
}: Pick<LoadFigures, 'loadCpu' | 'loadLag' | 'othersCpu'>): 'load' | 'machine' | 'server' {
  if (loadCpu > MAX_LOAD_CPU) return 'load';
  return loadLag > LATE_LOAD_MS || othersCpu > BUSY_MACHINE ? 'machine' : 'server';
}
