// Runs attacks one after the other, each against a new server with bystanders.
import { setTimeout as sleep } from 'node:timers/promises';
import { withTempFolder } from '../../processes/child-processes.ts';
import { withWorker } from '../../processes/worker-rpc.ts';
import { type BystanderReport, Bystanders } from '../bystanders.ts';
import { isMemoryBack, type MemorySample, type ServerUnderTest, withServerUnderTest } from '../server-under-test.ts';
import { type Attack, AttackContext, type AttackReport, Budget } from './attack.ts';
import type { AttackOrder } from './attacker-process.ts';

export interface FloodOptions {
  /** Parent folder of the data folders. */
  folder: string;
  /** Duration of each attack. */
  seconds: number;
  /** Deadline for the memory to return to its level after an attack. */
  recoverySeconds: number;
}

export interface FloodResult {
  attack: Attack;
  /** `silent`: the process runs and does not answer a health check within ten seconds. */
  server: 'alive' | 'silent' | 'exited';
  /** Seconds until heap, buffers and sockets were back to their level; infinite if they never were. */
  memoryBackAfter: number;
  memoryBefore: MemorySample;
  memoryAfter: MemorySample | undefined;
  peakResidentBytes: number;
  /** CPU share of a core after the recovery, with two members chatting. */
  idleCpu: number;
  bystanders: BystanderReport;
  report: AttackReport;
  log: { lines: number; bytes: number; tail: string };
  /** Growth of the data folder. */
  dataBytes: number;
}

const WARM_UP_MS = 1_500;
const IDLE_MS = 1_000;
const SAMPLE_EVERY_MS = 1_000;
const PREPARE_SECONDS = 60;

/** Failures, each as a sentence. Latencies are reported and are no failures. */
export function failuresOf({ server, memoryBackAfter, bystanders, report }: FloodResult): string[] {
  if (server === 'exited') return ['the server has exited', ...report.findings];
  return [
    ...(server === 'silent' ? ['the server does not answer'] : []),
    ...(memoryBackAfter === Infinity ? ['memory or sockets are not given back'] : []),
    ...bystanders.faults,
    ...report.findings,
  ];
}

export const floodWith = (attack: Attack, options: FloodOptions): Promise<FloodResult> =>
  withTempFolder(options.folder, async (folder) => {
    if (attack.prepare) await prepare(attack.prepare, folder);
    const { args, descriptors } = attack;
    return withServerUnderTest({ folder, ...(args && { args }), ...(descriptors && { descriptors }) }, async (server) => {
      const bystanders = await Bystanders.join(server.target);
      try {
        return await measure({ attack, server, bystanders, options });
      } finally {
        bystanders.leave();
      }
    });
  });

function prepare(arrange: (context: AttackContext) => Promise<void>, folder: string): Promise<void> {
  return withServerUnderTest({ folder, rateLimits: 'off' }, ({ target }) =>
    arrange(new AttackContext(target, new Budget(PREPARE_SECONDS))),
  );
}

interface Trial {
  attack: Attack;
  server: ServerUnderTest;
  bystanders: Bystanders;
  options: FloodOptions;
  memoryBefore: MemorySample;
}

async function measure(trial: Omit<Trial, 'memoryBefore'>): Promise<FloodResult> {
  const { attack, server } = trial;
  trial.bystanders.start();
  await sleep(WARM_UP_MS);
  const memoryBefore = await server.sampleMemory();
  if (!memoryBefore) throw new Error(`The server reports no memory: ${server.log.tail}`);
  const dataBefore = server.dataBytes;
  const { report, bystanders, recovery } = await runAttack({ ...trial, memoryBefore });
  return {
    attack,
    ...(recovery ?? (await untilMemoryIsBack({ ...trial, memoryBefore }))),
    server: await stateOf(server),
    memoryBefore,
    peakResidentBytes: server.peakResidentBytes,
    idleCpu: await idleCpuOf(server),
    bystanders,
    report,
    log: server.log,
    dataBytes: server.dataBytes - dataBefore,
  };
}

async function stateOf(server: ServerUnderTest): Promise<FloodResult['server']> {
  if (await server.isHealthy()) return 'alive';
  return server.hasExited ? 'exited' : 'silent';
}

type Recovery = Pick<FloodResult, 'memoryBackAfter' | 'memoryAfter'>;

/** Waits for the recovery only if the attacker keeps its connections for that time; they end with its process. */
const runAttack = (trial: Trial): Promise<{ report: AttackReport; bystanders: BystanderReport; recovery: Recovery | undefined }> =>
  withWorker<AttackOrder, Awaited<ReturnType<typeof runAttack>>>(new URL('./attacker-process.js', import.meta.url), async (give) => {
    const { attack, server, options } = trial;
    trial.bystanders.beginMeasurement();
    const report = (await give({ name: attack.name, target: server.target, seconds: options.seconds })) as AttackReport;
    const bystanders = await trial.bystanders.endMeasurement();
    return { report, bystanders, recovery: attack.holdsConnections ? await untilMemoryIsBack(trial) : undefined };
  });

async function untilMemoryIsBack({ server, memoryBefore, options }: Trial): Promise<Recovery> {
  const begun = performance.now();
  for (;;) {
    const memoryAfter = await server.sampleMemory();
    const seconds = (performance.now() - begun) / 1_000;
    if (isMemoryBack(memoryBefore, memoryAfter)) return { memoryBackAfter: seconds, memoryAfter };
    if (server.hasExited || seconds > options.recoverySeconds) return { memoryBackAfter: Infinity, memoryAfter };
    await sleep(SAMPLE_EVERY_MS);
  }
}

async function idleCpuOf(server: ServerUnderTest): Promise<number> {
  const before = server.cpuSeconds;
  await sleep(IDLE_MS);
  return (server.cpuSeconds - before) / (IDLE_MS / 1_000);
}
