/** Groups of random actors in several rooms, and the check of what they did against the log. */
import { type Random, randomFrom } from '@engawa/client/testing';
import { findFaults, findForkFaults, type ReceivedLog, type RoomHistory, type RoomLog, type SentCommand } from '../checkers/history.ts';
import { readRoom } from '../checkers/recording.ts';
import { RequestLog } from '../checkers/request-log.ts';
import { findTimelineFaults } from '../checkers/timeline-check.ts';
import { openStoreAt } from '../stores.ts';
import { until } from '../wait-for.ts';
import { type RandomActor, type RandomActorOptions, SdkRandomActor, SocketIoRandomActor } from './random-actors.ts';

const SETTLE_TIMEOUT_MS = 60_000;
/**
 * One in this many plain Socket.IO clients polls. None upgrades from polling to WebSocket, as the library does by default: if its
 * WebSocket is cut in the middle of the upgrade, it receives nothing until its ping time-out, after 45 s. Then it reconnects as
 * well.
 */
const POLLING_RATIO = 5;

interface RandomActorGroupOptions extends Pick<RandomActorOptions, 'url' | 'delays' | 'isShaky' | 'pauseMs'> {
  /** One in this many of each kind uses another route. */
  alternateRoute?: { url: string; every: number };
  roomIds: string[];
  sdk: number;
  socketIo: number;
  random: Random;
  /** Then no plain client polls: it would need the same server for every request. */
  isBalanced?: boolean;
}

/** The outcome of a run, checked against the log. */
export interface RunReport {
  /** Acknowledged commands. */
  acknowledged: number;
  /** Of these, commands that were repeated although they were stored, since the first answer was lost. */
  repeated: number;
  entries: number;
  /** Entries that clients received. */
  received: number;
  faults: string[];
}

/** Clients of both kinds, spread over rooms, that act at random. */
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

  /** The largest number of entries that one actor lacks and others of the same room have. */
  get longestBacklog(): number {
    const newest = (talkers: RandomActor[]) => talkers.map(({ receivedLog }) => receivedLog.entries.at(-1)?.seq ?? 0);
    const ofRoom = (roomId: string) => newest(this.actors.filter((talker) => talker.roomId === roomId));
    return Math.max(...[...this.#requestLog.rooms.keys()].map((roomId) => Math.max(...ofRoom(roomId)) - Math.min(...ofRoom(roomId))));
  }

  /** Stops all actors. When all are connected and no request is pending, all must have and show the same. */
  async waitUntilConsistent(): Promise<string[]> {
    for (const talker of this.actors) talker.isActive = false;
    const haveAll = async () => (await this.#whyNotCaughtUp()).length === 0;
    await until(haveAll, 'all have everything', SETTLE_TIMEOUT_MS).catch(() => undefined);
    const faults = await this.#whyNotCaughtUp();
    for (const { room } of this.sdk) if (room?.state === 'live') faults.push(...(await findTimelineFaults(room)));
    return faults;
  }

  /**
   * Compares what was received and answered with the log in this store. A plain client does not resend what a fork has lost: with
   * `plainClientsMayLose` it may be missing.
   */
  async report(storeLocation: string, { plainClientsMayLose = false } = {}): Promise<RunReport> {
    const report = { acknowledged: 0, repeated: 0, entries: 0, received: 0, faults: this.actors.flatMap(({ faults }) => faults) };
    const store = await openStoreAt(storeLocation);
    for (const [roomId, history] of this.#requestLog.rooms) {
      const log = await readRoom(store, roomId, history.sent);
      for (const { receivedLog, startSeq } of this.sdk) recordAcknowledged(receivedLog, history, { begin: startSeq, log });
      for (const { receivedLog } of this.socketIo) recordAcknowledged(receivedLog, history, { begin: 0, log });
      const isForked = log.epoch?.includes('.') === true;
      const sent = plainClientsMayLose ? history.sent.filter(({ client }) => this.sdk.some(({ name }) => name === client)) : history.sent;
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
    // An acknowledged entry need not have been broadcast yet: only the log has it.
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

/** Entries that a fork has lost do not count. */
function recordAcknowledged(recorded: ReceivedLog, { sent }: RoomHistory, { begin, log }: { begin: number; log: RoomLog }): void {
  const acks = sent.filter(({ client }) => client === recorded.client).flatMap((each) => each.acks);
  const own = acks.filter(({ seq, id }) => id !== undefined && isBroadcast(log.entries[seq - 1], id)).map(({ seq }) => seq);
  recorded.lastAcknowledged = Math.max(recorded.lastAcknowledged, ...own.filter((seq) => seq > begin));
}

/** Of entries that are not broadcast, only the member they concern is notified. */
const isBroadcast = (entry: RoomLog['entries'][number] | undefined, id: string): boolean => entry?.id === id && !entry.quiet;

const seqBeforeFirst = ({ entries }: ReceivedLog): number => (entries[0]?.seq ?? 1) - 1;

/** The first event of a new member is its own join. */
const seqBeforeJoin = ({ client }: ReceivedLog, { entries }: RoomLog): number =>
  (entries.find(({ kind, by }) => kind === 'add:member' && by === client)?.seq ?? 1) - 1;

/**
 * Everything that was broadcast after the start, from the first to the last entry. Members that expire at the very end may be
 * missing.
 */
function findRangeFaults({ client, entries: all }: ReceivedLog, startSeq: number, { entries }: RoomLog): string[] {
  // Of entries that are not broadcast, each member receives its own.
  const receivedEvents = all.filter(({ quiet }) => !quiet);
  const broadcast = entries.filter(({ quiet, seq }) => !quiet && seq > startSeq);
  const last = broadcast.findLast(({ body }) => body?.reason !== 'timed_out')?.seq ?? 0;
  return [
    ...(receivedEvents[0]?.seq === broadcast[0]?.seq
      ? []
      : [`${client} received ${receivedEvents[0]?.seq} first and not ${broadcast[0]?.seq}`]),
    ...((receivedEvents.at(-1)?.seq ?? 0) >= last ? [] : [`${client} received ${receivedEvents.at(-1)?.seq} last and not ${last}`]),
  ];
}
