import { type Random, randomFrom } from '@engawa/client/testing';
import {
  findFaults,
  findForkFaults,
  type ReceivedLog,
  type RoomHistory,
  type RoomLog,
  type SentCommand,
} from '../../../server/test/helpers/history.ts';
import { readRoom } from '../../../server/test/helpers/recording.ts';
import { openStoreAt } from '../../../server/test/helpers/stores.ts';
import { until } from '../../../server/test/helpers/wait-for.ts';
import { RequestLog } from './request-log.ts';
import { type RandomActor, type RandomActorOptions, SdkRandomActor, SocketIoRandomActor } from './talkers.ts';
import { findTimelineFaults } from './timeline-check.ts';

const SETTLE_TIMEOUT_MS = 60_000;
/**
 * One in so many stock clients polls. None goes from polling to a WebSocket, as the library does by itself: when its
 * WebSocket is cut in the middle of that, it hears nothing until its ping is over, after 45 s. Then it comes back, too.
 */
const POLLING_RATIO = 5;

interface RandomActorGroupOptions extends Pick<RandomActorOptions, 'url' | 'delays' | 'isShaky' | 'pauseMs'> {
  /** One in so many of each kind comes by another way. */
  alternateRoute?: { url: string; every: number };
  roomIds: string[];
  sdk: number;
  socketIo: number;
  random: Random;
  /** No stock client polls: it would need to meet the same server with every request. */
  isBalanced?: boolean;
}

/** What became of a crowd, as the log of the server has it. */
export interface RunReport {
  /** Acknowledged commands. */
  acknowledged: number;
  /** Of these, asked again although they were kept: their first answer was lost. */
  repeated: number;
  entries: number;
  /** Entries that clients were told. */
  received: number;
  faults: string[];
}

/** Clients of both kinds, spread over rooms, who talk. */
export class RandomActorGroup {
  readonly sdk: SdkRandomActor[];
  readonly socketIo: SocketIoRandomActor[];
  readonly actors: RandomActor[];
  readonly #requestLog: RequestLog;

  constructor({ roomIds, sdk, socketIo, random, alternateRoute, isBalanced = false, ...rest }: RandomActorGroupOptions) {
    const requestLog = new RequestLog(roomIds);
    const optionsOf = (kind: string, index: number): RandomActorOptions => ({
      ...rest,
      ...(alternateRoute && index % alternateRoute.every === 0 && { url: alternateRoute.url }),
      requestLog,
      roomId: roomIds[index % roomIds.length] as string,
      name: `${kind} ${index}`,
      random: randomFrom(random() * 1e9),
    });
    const transportOf = (index: number) => (index % POLLING_RATIO === 0 && !isBalanced ? 'polling' : 'websocket');
    this.#requestLog = requestLog;
    this.sdk = Array.from({ length: sdk }, (_, index) => new SdkRandomActor(optionsOf('sdk', index)));
    this.socketIo = Array.from(
      { length: socketIo },
      (_, index) => new SocketIoRandomActor(optionsOf('stock', index), [transportOf(index)]),
    );
    this.actors = [...this.sdk, ...this.socketIo];
  }

  /** Commands that were acknowledged in a room. */
  acknowledgedIn(roomId: string): number {
    return this.#requestLog.rooms.get(roomId)?.sent.filter(({ acks }) => acks.length > 0).length ?? 0;
  }

  /** How many entries somebody lacks that others of his room have. */
  get longestBacklog(): number {
    const newest = (talkers: RandomActor[]) => talkers.map(({ receivedLog }) => receivedLog.entries.at(-1)?.seq ?? 0);
    const ofRoom = (roomId: string) => newest(this.actors.filter((talker) => talker.roomId === roomId));
    return Math.max(...[...this.#requestLog.rooms.keys()].map((roomId) => Math.max(...ofRoom(roomId)) - Math.min(...ofRoom(roomId))));
  }

  /** Nobody begins anything any more. With all of them back and nothing on its way, everybody must have and show the same. */
  async waitUntilConsistent(): Promise<string[]> {
    for (const talker of this.actors) talker.isActive = false;
    const haveAll = async () => (await this.#whyNotCaughtUp()).length === 0;
    await until(haveAll, 'everybody has everything', SETTLE_TIMEOUT_MS).catch(() => undefined);
    const faults = await this.#whyNotCaughtUp();
    for (const { room } of this.sdk) if (room?.state === 'live') faults.push(...(await findTimelineFaults(room)));
    return faults;
  }

  /**
   * When all is done, what they were told and answered must be what is kept in this place. What a fork of a log has lost stock
   * clients do not say again: it may be missing with `stockMayLose`.
   */
  async report(storeLocation: string, { stockMayLose = false } = {}): Promise<RunReport> {
    const report = { acknowledged: 0, repeated: 0, entries: 0, received: 0, faults: this.actors.flatMap(({ faults }) => faults) };
    const store = await openStoreAt(storeLocation);
    for (const [roomId, history] of this.#requestLog.rooms) {
      const log = await readRoom(store, roomId, history.sent);
      for (const { receivedLog, startSeq } of this.sdk) recordAcknowledged(receivedLog, history, { begin: startSeq, log });
      for (const { receivedLog } of this.socketIo) recordAcknowledged(receivedLog, history, { begin: 0, log });
      const isForked = log.epoch?.includes('.') === true;
      const sent = stockMayLose ? history.sent.filter(({ client }) => this.sdk.some(({ name }) => name === client)) : history.sent;
      const faults = isForked ? findForkFaults({ ...history, sent }, log) : findFaults(history, log);
      report.faults.push(...[...faults, ...this.#findRangeFaults(roomId, log)].map((fault) => `${roomId}: ${fault}`));
      this.#addToReport(report, history, log);
    }
    await store.close();
    return report;
  }

  close(): void {
    for (const talker of this.actors) talker.close();
  }

  async #whyNotCaughtUp(): Promise<string[]> {
    const waiting = this.actors.map((talker) => talker.whyNotCaughtUp(0)).filter((what) => what !== '');
    if (waiting.length > 0) return waiting;
    const heads = new Map<string, number>();
    // What was answered need not have been told to anybody yet: only the log knows.
    for (const { roomId, room } of this.sdk) {
      const page = heads.has(roomId) ? undefined : await room?.history({ limit: 1 });
      if (page?.ok) heads.set(roomId, page.seq);
    }
    return this.actors.map((talker) => talker.whyNotCaughtUp(heads.get(talker.roomId) ?? 0)).filter((what) => what !== '');
  }

  #findRangeFaults(roomId: string, log: RoomLog): string[] {
    const isThere = (talker: RandomActor) => talker.roomId === roomId;
    return [
      ...this.sdk.filter(isThere).flatMap(({ receivedLog, startSeq }) => findRangeFaults(receivedLog, startSeq, log)),
      ...this.socketIo
        .filter(isThere)
        .flatMap(({ receivedLog, hasLostPosition }) =>
          findRangeFaults(receivedLog, hasLostPosition ? seqBeforeFirst(receivedLog) : seqBeforeJoin(receivedLog, log), log),
        ),
    ];
  }

  #addToReport(report: RunReport, { sent, receivedLogs }: RoomHistory, log: RoomLog): void {
    const acked = sent.filter(({ acks }) => acks.length > 0);
    const hasClientId = ({ payload }: SentCommand) => payload.clientId !== undefined;
    const storedAt = ({ acks: [ack] }: SentCommand) => log.entries[(ack?.seq ?? 0) - 1]?.at ?? Infinity;
    report.acknowledged += acked.length;
    report.repeated += acked.filter((each) => hasClientId(each) && storedAt(each) < this.#requestLog.lastRequestedAt(each)).length;
    report.entries += log.head;
    report.received += receivedLogs.reduce((sum, { entries }) => sum + entries.length, 0);
  }
}

/** What a fork has lost counts no more. */
function recordAcknowledged(hearing: ReceivedLog, { sent }: RoomHistory, { begin, log }: { begin: number; log: RoomLog }): void {
  const acks = sent.filter(({ client }) => client === hearing.client).flatMap((each) => each.acks);
  const own = acks.filter(({ seq, id }) => id !== undefined && isBroadcast(log.entries[seq - 1], id)).map(({ seq }) => seq);
  hearing.lastAcknowledged = Math.max(hearing.lastAcknowledged, ...own.filter((seq) => seq > begin));
}

/** Of quiet entries who is there is told, and nobody else. */
const isBroadcast = (entry: RoomLog['entries'][number] | undefined, id: string): boolean => entry?.id === id && !entry.quiet;

const seqBeforeFirst = ({ entries }: ReceivedLog): number => (entries[0]?.seq ?? 1) - 1;

/** Who joins hears himself join, first of all. */
const seqBeforeJoin = ({ client }: ReceivedLog, { entries }: RoomLog): number =>
  (entries.find(({ kind, by }) => kind === 'add:member' && by === client)?.seq ?? 1) - 1;

/** All that was told after the beginning, from the first to the last; names that lapse in the last moment may be told to nobody. */
function findRangeFaults({ client, entries: all }: ReceivedLog, startSeq: number, { entries }: RoomLog): string[] {
  // Of quiet ones each hears his own.
  const heard = all.filter(({ quiet }) => !quiet);
  const broadcast = entries.filter(({ quiet, seq }) => !quiet && seq > startSeq);
  const last = broadcast.findLast(({ body }) => body?.reason !== 'gone')?.seq ?? 0;
  return [
    ...(heard[0]?.seq === broadcast[0]?.seq ? [] : [`${client} heard ${heard[0]?.seq} first and not ${broadcast[0]?.seq}`]),
    ...((heard.at(-1)?.seq ?? 0) >= last ? [] : [`${client} heard ${heard.at(-1)?.seq} last and not ${last}`]),
  ];
}
