// Sends mutated packets to one server, while two bystanders chat, and reports faults of the server.
import { setTimeout as sleep } from 'node:timers/promises';
import { withTempFolder } from '../../processes/child-processes.ts';
import { Bystanders } from '../bystanders.ts';
import { isMemoryBack, type MemorySample, type ServerUnderTest, withServerUnderTest } from '../server-under-test.ts';
import { type FuzzCase, makeCase } from './fuzz-case.ts';
import { runCase } from './run-case.ts';

export interface FuzzOptions {
  folder: string;
  seed: number;
  rateLimits: 'on' | 'off';
  /** The run ends when one of these limits is reached. */
  packets: number;
  seconds: number;
  onProgress?: (progress: { packets: number; cases: number }) => void;
}

export interface FuzzReport {
  packets: number;
  cases: number;
  /** Sending time, without the start of the server and the wait for its memory. */
  seconds: number;
  /** Faults of the server, each as a sentence. */
  faults: string[];
  /** Cases that may have caused the fault: the unanswered one, or those that ran when the server exited. */
  suspects: FuzzCase[];
}

const CONCURRENCY = 32;
const WARM_UP_CASES = 40;
const WATCH_EVERY_MS = 200;
const RECOVERY_MS = 90_000;

export const fuzz = (options: FuzzOptions): Promise<FuzzReport> =>
  withTempFolder(options.folder, (folder) =>
    withServerUnderTest({ folder, rateLimits: options.rateLimits }, async (server) => {
      const bystanders = await Bystanders.join(server.target);
      try {
        return await new Fuzzer(server, bystanders, options).run();
      } finally {
        bystanders.leave();
      }
    }),
  );

class Fuzzer {
  readonly #server: ServerUnderTest;
  readonly #bystanders: Bystanders;
  readonly #options: FuzzOptions;
  readonly #running = new Map<number, FuzzCase>();
  readonly #report: FuzzReport = { packets: 0, cases: 0, seconds: 0, faults: [], suspects: [] };
  #nextCase = 0;

  constructor(server: ServerUnderTest, bystanders: Bystanders, options: FuzzOptions) {
    this.#server = server;
    this.#bystanders = bystanders;
    this.#options = options;
  }

  async run(): Promise<FuzzReport> {
    this.#bystanders.start();
    const begun = performance.now();
    const until = begun + this.#options.seconds * 1_000;
    // Warm up, so that code and caches reach their size.
    await this.#runCases(() => this.#report.cases < WARM_UP_CASES);
    const memoryBefore = await this.#server.sampleMemory();
    const watching = setInterval(() => this.#watch(), WATCH_EVERY_MS);
    await this.#runCases(() => performance.now() < until && this.#report.packets < this.#options.packets);
    clearInterval(watching);
    this.#watch();
    this.#report.seconds = (performance.now() - begun) / 1_000;
    if (this.#report.faults.length === 0) await this.#checkAfterwards(memoryBefore);
    return this.#report;
  }

  /** Runs this many cases in parallel while the condition holds and no fault was found. */
  async #runCases(isWanted: () => boolean): Promise<void> {
    const runNext = async (): Promise<void> => {
      while (isWanted() && this.#report.faults.length === 0) await this.#runCase(makeCase(this.#options.seed, this.#nextCase++));
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, runNext));
  }

  async #runCase(each: FuzzCase): Promise<void> {
    this.#running.set(each.number, each);
    const { packets, fault } = await runCase(this.#server.target, each);
    this.#running.delete(each.number);
    this.#report.packets += packets;
    this.#report.cases += 1;
    if (fault !== undefined && !this.#server.hasExited) this.#fail(`case ${each.number}: ${fault}`, [each]);
    this.#options.onProgress?.(this.#report);
  }

  #watch(): void {
    const { hasExited, log } = this.#server;
    if (hasExited) this.#fail(`the server has ended: ${log.tail}`);
    for (const line of log.errors) this.#fail(`the server logged an error: ${line}`);
  }

  #fail(fault: string, suspects: FuzzCase[] = [...this.#running.values()]): void {
    if (this.#report.faults.length === 0) this.#report.suspects = suspects;
    if (!this.#report.faults.includes(fault)) this.#report.faults.push(fault);
  }

  async #checkAfterwards(memoryBefore: MemorySample | undefined): Promise<void> {
    const { faults } = await this.#bystanders.endMeasurement();
    const log = await this.#bystanders.checkLog();
    for (const fault of [...faults, ...log]) this.#fail(`bystanders: ${fault}`, []);
    const isBack = async (): Promise<boolean> =>
      memoryBefore !== undefined && isMemoryBack(memoryBefore, await this.#server.sampleMemory());
    for (const deadline = performance.now() + RECOVERY_MS; !(await isBack()); await sleep(1_000)) {
      if (performance.now() < deadline) continue;
      this.#fail('memory is not given back', []);
      return;
    }
  }
}
