import { setTimeout as sleep } from 'node:timers/promises';
import { type CuttableProxy, openCuttableProxy } from '../harness/cuttable-proxy.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { NumberedSender, SequenceCheck } from '../load/sequence-check.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { residentBytes } from '../profiling/process-usage.ts';
import type { BenchContext } from '../scenario.ts';
import type { RecoveringClient } from './clients.ts';
import type { RecoveryServer, StartServer } from './servers.ts';

/** How a reader is away. */
export interface Absence {
  /** Whether the server learns that the connection is gone. */
  noticed: boolean;
  /** Milliseconds at least. */
  lasts: number;
  /** How the server ends after the first half of what is missed; the second half is said once it is there again. */
  ends?: 'stop' | 'kill';
}

/** Of a share of 1; milliseconds from connecting to the last chat; bytes that the server and its keepers grew by. */
export interface RecoveryResult {
  share: number;
  repeated: number;
  time: number;
  growth: number;
  /** What `socket.recovered` said, if anything. */
  recovered: boolean | undefined;
}

interface Wanted {
  engine: RecoveryServer;
  absence: Absence;
  missed: number;
  /** Runs that wait at the same time work one after the other. */
  inTurn: RunExclusive;
}

export type RunExclusive = <Result>(work: () => Promise<Result>) => Promise<Result>;

const ROOM = 'recovery';
const HEARD_BEFORE = 10;
/** A reader whom nothing reaches for so long has got all that he will get. */
const QUIET_MS = 3_000;

/** A reader of one room loses his connection, misses so many chats, and comes back. */
export function measureRecovery({ folder, progress }: BenchContext, wanted: Wanted): Promise<RecoveryResult> {
  const { engine, absence, missed, inTurn } = wanted;
  return withTempFolder(folder, (own) =>
    engine.open(own, async (start, keepers) => {
      const scene = new Scene(start, keepers);
      try {
        await inTurn(async () => {
          await scene.open(engine);
          await scene.miss(missed, absence);
        });
        await scene.untilAwayFor(absence.lasts);
        return await inTurn(() => scene.comeBack(missed, progress));
      } finally {
        await scene.close();
      }
    }),
  );
}

class Scene {
  readonly #start: StartServer;
  readonly #memory: Memory;
  readonly #speaker = new NumberedSender(ROOM);
  readonly #tally = new SequenceCheck(HEARD_BEFORE);
  #server: ServerProcess | undefined;
  #way: CuttableProxy | undefined;
  #reader: RecoveringClient | undefined;
  #heardBefore = 0;
  #awaySince = 0;

  constructor(start: StartServer, keepers: number[]) {
    this.#start = start;
    this.#memory = new Memory(keepers);
  }

  /** The reader is in the room and has heard a little. */
  async open({ reader: AnyReader }: RecoveryServer): Promise<void> {
    this.#server = await this.#start();
    this.#way = await openCuttableProxy(this.#server.url);
    await this.#speaker.openRoom(this.#server.url);
    this.#reader = new AnyReader({ url: this.#way.url, roomId: ROOM, hear: (text) => this.#hear(text) });
    await this.#reader.join();
    await this.#speaker.send(HEARD_BEFORE);
    while (this.#heardBefore < HEARD_BEFORE) await sleep(1);
    this.#memory.begin(this.#server.pid);
  }

  async miss(chats: number, { noticed, ends }: Absence): Promise<void> {
    this.#way?.cut(noticed);
    this.#awaySince = performance.now();
    const before = ends === undefined ? chats : Math.floor(chats / 2);
    await this.#speaker.send(before);
    if (ends !== undefined) await this.#restart(ends);
    await this.#speaker.send(chats - before);
  }

  untilAwayFor(milliseconds: number): Promise<void> {
    return sleep(Math.max(0, this.#awaySince + milliseconds - performance.now()));
  }

  async comeBack(missed: number, progress: BenchContext['progress']): Promise<RecoveryResult> {
    const connecting = performance.now();
    const recovered = await this.#reader?.reconnect().catch((error: unknown) => progress(`  ${String(error)}`));
    const connectedAt = performance.now();
    const { inOrder, repeated, lastAt } = await this.#untilQuiet(missed, connectedAt);
    return {
      share: inOrder / missed,
      repeated,
      time: lastAt - connecting,
      growth: this.#memory.growth(Number(this.#server?.pid)),
      recovered: recovered ?? undefined,
    };
  }

  async close(): Promise<void> {
    this.#speaker.leave();
    this.#reader?.leave();
    await this.#way?.close();
    await this.#server?.stop();
  }

  #hear(text: string): void {
    this.#heardBefore += 1;
    if (this.#heardBefore > HEARD_BEFORE) this.#tally.count(this.#speaker.positionOf(text));
  }

  async #restart(how: 'stop' | 'kill'): Promise<void> {
    const last = this.#server;
    this.#server = undefined;
    await last?.[how]();
    this.#server = await this.#start(Number(new URL(String(last?.url)).port));
    this.#memory.begin(this.#server.pid);
    await this.#speaker.rejoin(this.#server.url);
  }

  async #untilQuiet(missed: number, since: number): Promise<SequenceCheck> {
    const tally = this.#tally;
    const isQuiet = () => performance.now() - (tally.lastAt > since ? tally.lastAt : since) > QUIET_MS;
    while (tally.inOrder < missed && !isQuiet()) await sleep(1);
    return tally;
  }
}

/** What processes hold more than they did. */
class Memory {
  readonly #keepers: number[];
  readonly #before = new Map<number, number>();

  constructor(keepers: number[]) {
    this.#keepers = keepers;
    for (const keeper of keepers) this.begin(keeper);
  }

  /** From now on what this one grows by counts. */
  begin(pid: number): void {
    this.#before.set(pid, residentBytes(pid));
  }

  growth(server: number): number {
    return [server, ...this.#keepers].reduce((sum, pid) => sum + residentBytes(pid) - (this.#before.get(pid) ?? 0), 0);
  }
}
