// One reader that loses its connection, misses chats, and returns.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReturnMethod } from '../generator/generator.ts';
import { createReturningMember, type ReturningMember } from '../generator/returning-members.ts';
import { type CuttableProxy, openCuttableProxy } from '../harness/cuttable-proxy.ts';
import { type ServerKind, type Storage, start, withStorage } from '../harness/server-kinds.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import type { BenchContext } from '../scenario.ts';
import { NumberedSender, SequenceCheck } from './numbered-chats.ts';

/** How a reader is away. */
export interface Absence {
  /** Whether the server learns that the connection is gone. */
  isNoticed: boolean;
  /** At least. */
  milliseconds: number;
  /** How the server ends after the first half of what is missed; the second half is sent after it has started again. */
  serverEnds?: 'stop' | 'kill';
}

export interface RecoveryResult {
  /** Share of the missed chats that arrived in order. */
  share: number;
  repeated: number;
  /** Milliseconds from connecting to the last missed chat. */
  time: number;
  /** Whether the server recognised the connection; undefined with `resume:rooms`. */
  recovered: boolean | undefined;
}

interface Run {
  kind: ServerKind;
  how: ReturnMethod;
  absence: Absence;
  missed: number;
  /** Runs that are away at the same time work one after the other. */
  exclusively: RunExclusive;
}

export type RunExclusive = <Result>(work: () => Promise<Result>) => Promise<Result>;

const ROOM = 'recovery';
const RECEIVED_BEFORE = 10;
/** A reader that has received nothing for this time has received all that it will. */
const QUIET_MS = 3_000;

export const measureRecovery = ({ folder, progress }: BenchContext, run: Run): Promise<RecoveryResult> =>
  withStorage(run.kind, folder, async (storage) => {
    const reader = new Reader(run, storage);
    try {
      await run.exclusively(async () => {
        await reader.join();
        await reader.miss();
      });
      await reader.untilAwayLongEnough();
      return await run.exclusively(() => reader.comeBack(progress));
    } finally {
      await reader.close();
    }
  });

class Reader {
  readonly #run: Run;
  readonly #storage: Storage;
  readonly #sender = new NumberedSender(ROOM);
  readonly #check = new SequenceCheck(RECEIVED_BEFORE);
  #member: ReturningMember | undefined;
  #server: ServerProcess | undefined;
  #proxy: CuttableProxy | undefined;
  #received = 0;
  #awaySince = 0;

  constructor(run: Run, storage: Storage) {
    [this.#run, this.#storage] = [run, storage];
  }

  /** Resolves when the reader is in the room and has received the first chats. */
  async join(): Promise<void> {
    this.#server = await this.#start(0);
    this.#proxy = await openCuttableProxy(this.#server.url);
    await this.#sender.createRoom(this.#server.url);
    this.#member = createReturningMember(this.#run.how, { roomId: ROOM, username: 'reader' }, (text) => this.#receive(text));
    await this.#member.join(this.#proxy.url);
    await this.#sender.send(RECEIVED_BEFORE);
    while (this.#received < RECEIVED_BEFORE) await sleep(1);
  }

  async miss(): Promise<void> {
    const { missed, absence } = this.#run;
    this.#proxy?.cut(absence.isNoticed);
    this.#awaySince = performance.now();
    const before = absence.serverEnds === undefined ? missed : Math.floor(missed / 2);
    await this.#sender.send(before);
    if (absence.serverEnds !== undefined) await this.#restart(absence.serverEnds);
    await this.#sender.send(missed - before);
  }

  untilAwayLongEnough(): Promise<void> {
    return sleep(Math.max(0, this.#awaySince + this.#run.absence.milliseconds - performance.now()));
  }

  async comeBack(progress: BenchContext['progress']): Promise<RecoveryResult> {
    const connecting = performance.now();
    const recovered = await this.#member?.comeBack(String(this.#proxy?.url)).catch((error: unknown) => progress(String(error)));
    const { inOrder, repeated, lastAt } = await this.#untilQuiet(performance.now());
    return { share: inOrder / this.#run.missed, repeated, time: lastAt - connecting, recovered: recovered ?? undefined };
  }

  async close(): Promise<void> {
    this.#sender.leave();
    this.#member?.leave();
    await this.#proxy?.close();
    await this.#server?.kill();
  }

  #start(port: number): Promise<ServerProcess> {
    return start(this.#run.kind, { ...this.#storage, port }, { isPinned: false });
  }

  #receive(text: string): void {
    this.#received += 1;
    if (this.#received > RECEIVED_BEFORE) this.#check.add(this.#sender.placeOf(text));
  }

  async #restart(how: 'stop' | 'kill'): Promise<void> {
    const last = this.#server;
    await last?.[how]();
    this.#server = await this.#start(Number(new URL(String(last?.url)).port));
    await this.#sender.rejoin(this.#server.url);
  }

  async #untilQuiet(since: number): Promise<SequenceCheck> {
    const check = this.#check;
    const isQuiet = () => performance.now() - (check.lastAt > since ? check.lastAt : since) > QUIET_MS;
    while (check.inOrder < this.#run.missed && !isQuiet()) await sleep(1);
    return check;
  }
}
